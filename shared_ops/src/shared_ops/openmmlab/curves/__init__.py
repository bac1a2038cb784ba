"""How a training went, in a picture: loss, learning rate and scores over the iterations."""
