"""A page in the browser that a picture is dropped on, and that shows what a model sees there.

It is served by Starlette and uvicorn, and its three files are our own. Gradio was weighed against them: it brings 52
packages and 257 MB instead of 7 and 3 MB, among them pandas, pydantic and a Hugging Face client, takes 6 s to import
instead of 0.3 s, reports its use to its makers unless an environment variable is set beforehand, and keeps the pictures
of its users as files in the temporary folder. The standard library's ``http.server`` would need nothing at all, and
leaves requests that never end, limits on their size and the order of shutting down to whoever uses it.

Nothing is fetched from or sent to anywhere but the server itself: browsers are told to refuse it, by the
``Content-Security-Policy`` of the page. Pictures and results stay in memory.
"""
