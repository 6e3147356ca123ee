#!/usr/bin/env python3
"""Writes chat_templates.json: what jinja2, set up as transformers sets it up, makes of templates written in the shapes
that published models use (ChatML, Llama 3 with tools, Qwen 2.5, Mistral, Gemma) and of one line for each feature.

    pip install jinja2
    ./make_template_goldens.py
    ./make_template_goldens.py --templates DIR --out FILE    # a folder of *.jinja; test it with
                                                             # STEPDOWN_TEMPLATE_GOLDENS=FILE
"""
import argparse
import datetime
import json
import pathlib

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Current weather; \"now\" only — été",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}}]
SYSTEM = {"role": "system", "content": "  You answer briefly.\n"}
USER = {"role": "user", "content": "Is it 'warm' in \"Ålesund\"? 😀"}
CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"id": "abcdefghi", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Ålesund", "days": 1}}}]}
ANSWER = {"role": "tool", "tool_call_id": "abcdefghi", "name": "get_weather", "content": "{\"celsius\": 4.5}"}
CHATS = {
    "user": {"messages": [USER]},
    "system": {"messages": [SYSTEM, USER]},
    "turns": {"messages": [SYSTEM, USER, {"role": "assistant", "content": " No.\n"}, {"role": "user", "content": "Why?"}]},
    "tools": {"messages": [SYSTEM, USER], "tools": TOOLS},
    "called": {"messages": [USER, CALL, ANSWER], "tools": TOOLS},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "part one"}, {"type": "text", "text": "two"}]}]},
    "wrong order": {"messages": [{"role": "assistant", "content": "first"}, USER]},
}

TEMPLATES = {
    "chatml": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe helpful.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "llama3": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- the system message comes out of the list #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one tool call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "qwen": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'Default system.' }}
    {%- endif %}
    {{- "\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "mistral": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("roles must alternate user/assistant/user/assistant") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is defined and tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("ids have nine characters") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" + eos_token }}{%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + "}[/TOOL_RESULTS]" }}
    {%- else %}
        {{- raise_exception("only user, assistant and tool roles") }}
    {%- endif %}
{%- endfor %}
""",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
    "content parts": """{% for message in messages %}
  {% if message.content is string %}
{{ message.role }}: {{ message.content }}
  {% else %}
    {% for part in message.content if part.type == 'text' %}
{{ loop.index }}/{{ loop.length }} {{ part.text }}
    {% else %}
nothing
    {% endfor %}
  {% endif %}
{% endfor %}
""",
}

# One line a feature; `x` is CONTEXT.
CONTEXT = {"s": "  Hello, World  ", "n": 7, "f": 2.5, "b": True, "nothing": None, "list": [3, 1, 2, 1], "words": ["a", "bb", "a"],
           "d": {"z": 1, "a": "two", "l": [1, {"k": None}]}, "people": [{"name": "Ann", "age": 3}, {"name": "Bo"}], "t": "naïve 日本 😀"}
LINES = [
    "{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}|{{ s|trim }}|{{ 'xxhixx'.strip('x') }}|{{ 'xxhixx'|trim('x') }}",
    "{{ s.split(',') }} {{ s.split() }} {{ 'a-b-c'.split('-', 1) }} {{ 'a,b'.split(',')[-1] }}",
    "{{ s.startswith('  H') }} {{ s.endswith('x') }} {{ 'abc'.startswith(('x', 'a')) }}",
    "{{ s.upper() }} {{ s|lower }} {{ 'hello world'.title() }} {{ 'hELLO'|capitalize }} {{ 'a b'|title }}",
    "{{ s.replace('l', 'L') }} {{ s|replace('l', 'L', 1) }} {{ s.find('World') }}",
    "{{ n + 1 }} {{ n - 10 }} {{ n * 2 }} {{ n / 2 }} {{ n // 2 }} {{ n % 4 }} {{ -n // 2 }} {{ -n % 4 }} {{ f * 2 }} {{ 1.5 }}",
    "{{ n > 3 }} {{ 1 < n <= 7 }} {{ n == 7.0 }} {{ 'a' < 'b' }} {{ n != 7 }} {{ not n }} {{ n and 'yes' or 'no' }}",
    "{{ b }} {{ nothing }} {{ f }} {{ 3.0 }} {{ list }} {{ d }} {{ people }} {{ (1, 'a') | list }} {{ true }} {{ none }}",
    "{{ missing }}|{{ missing is defined }}|{{ d.missing is undefined }}|{{ missing|default('x') }}|{{ nothing|default('x') }}|{{ nothing|default('x', true) }}|{{ ''|d('y', boolean=True) }}",
    "{{ d|tojson }} {{ t|tojson }} {{ list|tojson }} {{ f|tojson }} {{ nothing|tojson }} {{ 'q\"\\\\ \\n'|tojson }}",
    "{{ d|tojson(indent=2) }}",
    "{{ t|length }} {{ list|length }} {{ d|count }} {{ list|first }} {{ list|last }} {{ 'xyz'|first }}",
    "{{ list[0] }} {{ list[-1] }} {{ list[1:] }} {{ list[:-1] }} {{ list[::-1] }} {{ list[::2] }} {{ t[0:3] }} {{ t[6:8] }} {{ list[5:] }} {{ list[-9:2] }} {{ list[3:0:-1] }}",
    "{{ words|join(', ') }} {{ list|join }} {{ people|map(attribute='name')|join('+') }} {{ words|map('upper')|list }} {{ people|map(attribute='age', default=0)|list }}",
    "{{ people|selectattr('age', 'defined')|list|length }} {{ people|rejectattr('age', 'defined')|map(attribute='name')|first }} {{ list|select('odd')|list }} {{ list|reject('equalto', 1)|list }} {{ people|selectattr('age')|list|length }}",
    "{{ words|unique|list }} {{ list|reverse|list }} {{ 'abc'|reverse }} {{ -3|abs }} {{ '42'|int + 1 }} {{ 'x'|int }} {{ 3.9|int }} {{ '2.5'|float }}",
    "{{ d.items()|list|tojson }} {{ d|items|list|tojson }} {{ d.keys()|list }} {{ d.values()|list }} {{ d.get('a') }} {{ d.get('q', 'none') }} {{ d.get('q') }}",
    "{{ 'a' in d }} {{ 'q' not in d }} {{ 'ell' in s }} {{ 3 in list }} {{ n in [1, 7] }}",
    "{{ n is number }} {{ s is string }} {{ d is mapping }} {{ list is iterable }} {{ s is iterable }} {{ list is sequence }} {{ nothing is none }} {{ b is boolean }} {{ b is true }} {{ n is integer }} {{ f is float }} {{ n is odd }} {{ n is even }} {{ n is eq 7 }} {{ n is not none }} {{ n is in [7] }} {{ missing is not defined and true }}",
    "{% for x in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }},{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for c in 'añb' %}[{{ c }}]{% endfor %}",
    "{% for x in [] %}never{% else %}empty{% endfor %}{% for x in missing %}never{% else %} undefined{% endfor %}",
    "{% for x in list %}{% if x == 2 %}{% break %}{% endif %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in list if x > 1 %}{{ x }}/{{ loop.length }} {% endfor %}",
    "{% set x = 1 %}{% for i in list %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(found=false, n=0) %}{% for i in list %}{% set ns.n = ns.n + i %}{% set ns.found = true %}{% endfor %}{{ ns.n }}{{ ns.found }}",
    "{% set a, c = 1, 'two' %}{{ a }}{{ c }}{% set block %}x{{ a }}y{% endset %}[{{ block }}]",
    "{{ 'yes' if n > 3 else 'no' }} {{ 'yes' if n > 30 }}| {{ ('a' ~ n ~ none) }} {{ 'con' 'cat' }} {{ \"a\\tb\\u00e9\\x41\" }}",
    "{% if n == 1 %}one{% elif n == 7 %}seven{% else %}other{% endif %}{% if nothing %}x{% endif %}",
    "{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}{{ range(2, 4)|list }}",
    "  {%- if true %}  a  {%- endif %}  \n  {% if true %}\n  b\n  {% endif %}\n c {{- 1 -}} \n d {# gone #}\n {#- gone -#} \n e",
    "a\n  {%+ if true %}b{% endif +%}\nc\n    {% set q = 1 %}   d\n\t{{ n }}\n",
    "{{ {'a': 1, 'b': [1, 2]}['b'][1] }} {{ {'a': {'b': 'deep'}}.a.b }} {{ [[1, 2], [3]][0][1] }} {{ (((n))) }}",
    "{{ s|trim|lower|replace('o', '0') + '!' }} {{ -n|abs }} {{ 'a' + 'b'|upper }} {{ 2 + 3 * 4 - 1 }} {{ not true or true }}",
    "{{ list|string }} {{ n|string + '!' }} {{ dict(a=1, b='x') }} {{ ', '.join(words) }} {{ words[n - 7] }}",
    "{% generation %}kept {{ n }}{% endgeneration %}",
    "{{ 'line\nbreak' | indent(2) }}|{{ 'a\n\nb' | indent(4, true) }}",
    "{% macro tag(name, body='?', open=true) %}{% if open %}<{{ name }}>{% endif %}{{ body }}{% endmacro %}{{ tag('a') }}{{ tag('b', 'x') }}{{ tag(body='y', name='c', open=false) }}{{ tag() }}{{ tag is callable }}",
    "{% macro wrap(x) %}[{{ caller(x) }}|{{ caller(x + 1) }}]{% endmacro %}{% call(i) wrap(n) %}{{ i }}{{ s|trim }}{% endcall %}{% call(i) wrap(1) %}{{ list[i] }}{% endcall %}",
    "{% macro tree(node, depth=0) %}{{ depth }}:{% if node is mapping %}{% for k, v in node|items %}{{ k }}({{ tree(v, depth + 1) }}){% endfor %}{% elif node is iterable and node is not string %}{% for v in node %}{{ tree(v, depth + 1) }},{% endfor %}{% else %}{{ node }}{% endif %}{% endmacro %}{{ tree(d) }}",
    "{% set g = 'global' %}{% macro sees(n) %}{{ g }}{{ n }}{{ x is defined }}{{ loop is defined }}{% set g = 'inner' %}{{ g }}{% endmacro %}{% for x in list %}{{ sees(x) }};{% endfor %}{{ g }}",
    "{% set ns = namespace(count=0) %}{% macro next() %}{% set ns.count = ns.count + 1 %}{{ ns.count }}{% endmacro %}{{ next() }}{{ next() }}{{ ns.count }}{{ next()|int + 1 }}",
    "{% for x in list %}{% macro inner() %}{{ x }}{% endmacro %}{{ inner() }}{% if x == 1 %}{% continue %}{% endif %}{{ inner()|length }}{% endfor %}",
    "{% filter upper|replace('L', '_') %}{{ s|trim }} {{ n }}{% endfilter %}{% set up | trim | upper %}  x{{ n }} {% endset %}[{{ up }}]",
    "{{ list|sort }} {{ list|sort(reverse=true) }} {{ ['b', 'A', 'c']|sort|join }} {{ ['b', 'A']|sort(case_sensitive=true)|first }} {{ people|sort(attribute='name', reverse=true)|map(attribute='name')|list }} {{ list|min }} {{ list|max }} {{ ['b', 'A']|min }}",
    "{% for k, v in {'b': 1, 'A': 2}|dictsort(reverse=true) %}{{ k }}{{ v }}{% endfor %}{% for k, v in d|dictsort %}{{ k }}={{ v }},{% endfor %}{% for k, v in {'b': 1, 'a': 2}|dictsort(by='value') %}{{ k }}{% endfor %}",
    "{% set sizes = {512: 'a', 0: 'b'} %}{% for k, v in sizes|items %}{{ k + 1 }}{{ v }},{% endfor %}{{ sizes[512] }}{{ sizes['512'] is defined }}{% for k in sizes %}{{ 600 > k }}{% endfor %}",
    "{{ none|selectattr('a')|list }} {{ missing|map('upper')|list }} {{ strftime_now is defined }} {{ nothing_such is defined }} {{ range is callable }}",
    "{{ d|tojson(separators=(',', ':')) }} {{ {'b': 1, 'a': {'d': 1, 'c': 2}}|tojson(sort_keys=true) }} {{ t|tojson(ensure_ascii=true) }} {{ [1, {'a': []}]|tojson(indent=2, separators=(',', ': ')) }}",
    "{{ '{} and {}'.format(n, 'x') }} {{ '{1}{0}{{}}'.format('a', 'b') }} {{ '{who}'.format(who=n) }}",
    "{{ strftime_now('%Y')|length }} {{ strftime_now('%d')|int > 0 }}",
    "{{ tag('a') }}", "{% macro one(a) %}{{ a }}{% endmacro %}{{ one(1, 2) }}", "{% macro one(a) %}{{ a }}{% endmacro %}{{ one(b=2) }}", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "{{ missing.attribute }}", "{{ 1 + 'a' }}", "{{ d.z.strip() }}", "{{ raise_exception('own words') }}", "{{ missing + 'x' }}", "{{ n.items() }}",
    "{{ 1 / 0 }}", "{{ missing|tojson }}",
]


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_keep"), [], [], body).set_lineno(lineno)

    def _keep(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return env


def case(name, source, variables):
    try:
        return {"name": name, "template": source, "variables": variables, "text": environment().from_string(source).render(**variables)}
    except Exception:  # what it raises is Python's own business; that it raises is what counts
        return {"name": name, "template": source, "variables": variables, "text": None}


def chats(name, source):
    common = {"bos_token": "<s>", "eos_token": "</s>", "tools": None, "documents": None}
    return [case(f"{name}/{chat}/{prompt}", source, {**common, **variables, "add_generation_prompt": prompt})
            for chat, variables in CHATS.items() for prompt in ([True, False] if chat == "turns" else [True])]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--templates", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "chat_templates.json")
    arguments = parser.parse_args()
    if arguments.templates:
        sources = {path.stem: path.read_text() for path in sorted(arguments.templates.glob("*.jinja"))}
        for name, source in list(sources.items()):
            try:
                environment().from_string(source)
            except TemplateError as error:
                print(f"{name}: jinja2 itself refuses it: {error}")
                del sources[name]
    else:
        sources = TEMPLATES
    cases = [c for name, source in sources.items() for c in chats(name, source)]
    if not arguments.templates:
        cases += [case(line, line, CONTEXT) for line in LINES]
    arguments.out.write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n")
    print(arguments.out, len(cases), "cases,", sum(c["text"] is None for c in cases), "of which fail")
