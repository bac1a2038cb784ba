"""A page in the browser that a picture is dropped on, and that shows what a model sees there.

It is served by Starlette and uvicorn, and its five files are our own. Gradio 6.31 was weighed against them. Beside the
rest of a package it brings 28 more distributions, among them pandas, pydantic and a Hugging Face client, and takes
Pillow back below 13; alone, with all that it needs, it takes 257 MB instead of 2.7 MB and 6 s to import instead of
0.3 s. It tells its makers of every launch unless an environment variable is set beforehand, and puts the pictures of
its users into files of the temporary folder. The standard library's ``http.server`` would need nothing at all, and
leaves the limits on what is sent, broken connections and the order of shutting down to whoever uses it.

Nothing is fetched from or sent to anywhere but the server itself: browsers are told to refuse it, by the
``Content-Security-Policy`` of the page. Pictures and results stay in memory, and only the last ones.
"""
