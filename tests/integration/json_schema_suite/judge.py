"""Judges answers by jsonschema: judge.py ANSWERS.jsonl, each line {"schema", "text"}."""
import decimal
import json
import sys

import jsonschema


def judge(line, **reading):
    answer = json.loads(line, **reading)
    jsonschema.Draft202012Validator(answer["schema"]).validate(json.loads(answer["text"], **reading))


def main(path):
    wrong = count = 0
    for line in open(path):
        answer = json.loads(line)
        count += 1
        try:
            try:
                judge(line)
            except jsonschema.ValidationError as error:
                if error.validator != "multipleOf":
                    raise
                judge(line, parse_float=decimal.Decimal)  # 0.94 / 0.0001 is no whole number in binary
        except (json.JSONDecodeError, jsonschema.ValidationError) as error:
            wrong += 1
            print(f"{json.dumps(answer['schema'])} leads to {answer['text']}: {error}", file=sys.stderr)
    print(f"{count - wrong} of {count} answers are valid")
    return 1 if wrong or not count else 0


sys.exit(main(*sys.argv[1:]))
