"""Training on data of one's own: a short config over any of the published ones, and a look at the data before."""
