"""Judges answers by jsonschema: judge.py ANSWERS.jsonl, each line {"schema", "text"}."""
import json
import sys

import jsonschema


def main(path):
    wrong = count = 0
    for line in open(path):
        answer = json.loads(line)
        count += 1
        try:
            jsonschema.Draft202012Validator(answer["schema"]).validate(json.loads(answer["text"]))
        except (json.JSONDecodeError, jsonschema.ValidationError) as error:
            wrong += 1
            print(f"{json.dumps(answer['schema'])} leads to {answer['text']}: {error}", file=sys.stderr)
    print(f"{count - wrong} of {count} answers are valid")
    return 1 if wrong or not count else 0


sys.exit(main(*sys.argv[1:]))
