"""Gives every request an Idempotency-Key of its own: generated ones are short, and the second request under a key is
a conflict, whatever it holds."""

import itertools

import schemathesis

NAME = "Idempotency-Key"
numbers = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    key = (case.headers or {}).get(NAME)
    if isinstance(key, str) and 1 <= len(key) <= 200:
        case.headers[NAME] = f"{next(numbers)}-{key}"
