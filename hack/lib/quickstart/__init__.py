"""`hack/quickstart`: one command from a clone to a web application that kro runs.

It stands on the standard library and on the control plane of the tests, so that it starts before
there is a virtual environment. `__main__` is the story from above; `tour` is what a user does with
the example; `cluster`, `controller` and `kubectl` are what it needs; `screen` is how it looks.
"""
