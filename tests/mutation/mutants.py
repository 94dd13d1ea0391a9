"""Small changes to the bodies of mtasts.h, found token by token.

A mutant replaces one stretch of text in one function. Comments, preprocessor lines and what stands
outside functions are left alone. A mutant need not compile: the compiler sorts those out.
"""
import hashlib
import re

TOKEN = re.compile(r"""
    (?P<skip>\s+|/\*.*?\*/|^[ \t]*\#(?:[^\n]*\\\n)*[^\n]*)
  | (?P<string>"(?:\\.|[^"\\])*")
  | (?P<char>'(?:\\.|[^'\\])+')
  | (?P<number>\d\w*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<op><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

BANNER = re.compile(r"^/\* ==== (\d+) ", re.MULTILINE)

SWAPS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
    "+=": "-=", "-=": "+=", "++": "--", "--": "++", "|=": "&=", "&=": "|=", "<<": ">>", ">>": "<<",
    "*=": "/=", "/=": "*=", "^=": "|=", "/": "*", "%": "/", "^": "|", "|": "&",
}
BINARY = {"+": "-", "-": "+", "&": "|", "*": "/"}  # unary as well, where they mean another thing
UNARY = {"!", "~", "-"}  # to be left out
FLAG_OPERATORS = {"&", "|", "|=", "&=", "~"}
LIMIT = re.compile(r"_(MAX|MIN|SIZE|HEAD|INTERVAL)(_|$)")
KEYWORDS = {"if", "else", "for", "while", "do", "switch", "case", "default", "return", "break",
            "continue", "sizeof", "goto", "const", "static", "struct", "enum", "unsigned"}


class Token:
    def __init__(self, kind, text, at):
        self.kind, self.text, self.at, self.end = kind, text, at, at + len(text)


class Mutant:
    def __init__(self, source, section, function, start, end, text):
        self.section, self.function = section, function
        self.start, self.end, self.text = start, end, text
        first = source.rfind("\n", 0, start) + 1
        last = source.find("\n", end)
        self.line = source.count("\n", 0, start) + 1
        self.old = " ".join(source[first:last].split())
        self.new = " ".join((source[first:start] + text + source[end:last]).split())

    def key(self):
        return self.function, self.old, self.new

    def apply(self, source):
        return source[:self.start] + self.text + source[self.end:]


def tokens_of(source, start, end):
    found = []
    for match in TOKEN.finditer(source, start, end):
        if match.lastgroup != "skip":
            found.append(Token(match.lastgroup, match.group(), match.start()))
    return found


def sections(source):
    """The stretches of the bodies, by the number on their banners."""
    bodies = source.index("#endif /* MTASTS_H */")
    banners = [m for m in BANNER.finditer(source) if m.start() > bodies]
    ends = [m.start() for m in banners[1:]] + [len(source)]
    return [(int(m.group(1)), m.end(), end) for m, end in zip(banners, ends)]


def functions(tokens):
    """(name, tokens between its braces) of every function in a section."""
    depth, name, opened, begin = 0, None, 0, 0
    for i, token in enumerate(tokens):
        if token.text == "(" and not depth:
            if not opened:
                name = tokens[i - 1].text
            opened += 1
        elif token.text == ")" and not depth:
            opened -= 1
        elif token.text == "{":
            if not depth:
                begin = i + 1 if tokens[i - 1].text == ")" else None
            depth += 1
        elif token.text == "}" and depth:
            depth -= 1
            if not depth and begin is not None:
                yield name, tokens[begin:i]


def closing(tokens, i):
    """The parenthesis that closes the one at i."""
    depth = 0
    for k in range(i, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[k].text, 0)
        if not depth:
            return k
    raise ValueError("parentheses do not match")


def is_operand(token):
    return token.kind in ("name", "number", "char", "string") and token.text not in KEYWORDS or \
        token.text in (")", "]")


def name_changes(token, before, after):
    """A flag is left out; a limit is one more or less; anything else is its neighbour."""
    if before is not None and before.text in FLAG_OPERATORS or after.text in FLAG_OPERATORS:
        yield token, token, "0"
    else:
        yield token, token, f"({token.text} + 1)"
        if LIMIT.search(token.text):
            yield token, token, f"({token.text} - 1)"


def token_changes(tokens, i):
    """(first token, last token, new text) for what one token can become."""
    token, before = tokens[i], tokens[i - 1] if i else None
    text = token.text
    # clang-format has put a blank on either side of a binary operator
    binary = before is not None and is_operand(before) and \
        before.end < token.at and token.end < tokens[i + 1].at
    if token.kind == "number":
        suffix = text.lstrip("0123456789abcdefxABCDEF") if text[:2] in ("0x", "0X") else \
            text.lstrip("0123456789")
        value = int(text[:len(text) - len(suffix)], 0)
        yield token, token, f"{value + 1}{suffix}"
        if value:
            yield token, token, f"{value - 1}{suffix}"
    elif token.kind == "char":
        yield token, token, f"({text} + 1)"
    elif token.kind == "string":
        body = text[1:-1]
        first = re.match(r"\\x..|\\.|.", body, re.DOTALL)
        yield token, token, '"' + ("z" + body[first.end():] if body else "z") + '"'
    elif re.fullmatch(r"MTASTSI?_[A-Z0-9_]+", text) and tokens[i + 1].text != "(":
        yield from name_changes(token, before, tokens[i + 1])
    elif text in UNARY and not binary:
        yield token, token, " "
    elif text in BINARY and binary:
        yield token, token, BINARY[text]
    elif text in SWAPS:
        yield token, token, SWAPS[text]
    elif text == "?":
        yield token, token, "== 0 ?"
    elif text == "else" or text in ("break", "continue") and tokens[i + 1].text == ";":
        yield token, token, " "


def condition_changes(tokens, i):
    """An if, while or for whose condition is the opposite."""
    if tokens[i].text not in ("if", "while", "for"):
        return
    first, last = i + 2, closing(tokens, i + 1) - 1
    if tokens[i].text == "for":
        ends = [k for k in range(first, last + 1) if tokens[k].text == ";"]
        first, last = ends[0] + 1, ends[1] - 1
    if first > last:
        return
    text = "".join(" " * (a.at > b.end) + a.text
                   for a, b in zip(tokens[first:last + 1], tokens[first - 1:last]))
    yield tokens[first], tokens[last], f"!({text})"


CLAUSE_ENDS = {",", "?", ":", ";", "{", "}", "=", "|=", "&=", "+=", "-=", "return"}


def clause_changes(tokens, i):
    """Of && and ||, the clause on either side left out."""
    if tokens[i].text not in ("&&", "||"):
        return
    ends = CLAUSE_ENDS | {"||"} | ({"&&"} if tokens[i].text == "&&" else set())
    first = last = i
    depth = 0
    while first and (depth or tokens[first - 1].text not in ends | {"("}):
        first -= 1
        depth += {")": 1, "]": 1, "(": -1, "[": -1}.get(tokens[first].text, 0)
    while depth or tokens[last + 1].text not in ends | {")"}:
        last += 1
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(tokens[last].text, 0)
    yield tokens[first], tokens[i], " "
    yield tokens[i], tokens[last], " "


def is_label(tokens, i):
    """The colon of a case or default?"""
    if tokens[i].text != ":":
        return False
    while i and tokens[i].text not in ("case", "default", "?", ";", "{", "}"):
        i -= 1
    return tokens[i].text in ("case", "default")


def statement_changes(tokens, i, headers):
    """A statement left out, or a return with another value."""
    before = tokens[i - 1].text if i else ";"
    if before not in (";", "{", "}", "else", "do") and i - 1 not in headers and \
            not is_label(tokens, i - 1):
        return
    end = i
    while tokens[end].text not in (";", "{", "}"):
        if tokens[end].text == "(":
            end = closing(tokens, end)
        end += 1
    if tokens[end].text != ";":
        return
    if tokens[i].text == "return" and end > i + 1:
        value = " ".join(t.text for t in tokens[i + 1:end])
        yield tokens[i + 1], tokens[end - 1], f"!({value})"
        if value not in ("0", "1"):  # those are truth values
            yield tokens[i + 1], tokens[end - 1], f"({value}) + 1"
    elif tokens[i].text == "return":
        yield tokens[i], tokens[i], " "
    elif tokens[i].text not in KEYWORDS and end > i + 1 and tokens[i + 1].kind != "name" and \
            not (tokens[i + 1].text == "*" and tokens[i].kind == "name"):
        yield tokens[i], tokens[end - 1], " "


def changes(tokens):
    headers, loops = set(), set()  # where the headers of statements end; semicolons of for
    for i, token in enumerate(tokens):
        if token.text in ("if", "while", "for", "switch"):
            last = closing(tokens, i + 1)
            headers.add(last)
            loops.update(k for k in range(i, last) if tokens[k].text == ";")
    for i in range(len(tokens)):
        yield from token_changes(tokens, i)
        yield from condition_changes(tokens, i)
        yield from clause_changes(tokens, i)
        if i - 1 not in loops:
            yield from statement_changes(tokens, i, headers)


def all_mutants(source):
    found, seen = [], set()
    for section, start, end in sections(source):
        for function, tokens in functions(tokens_of(source, start, end)):
            for first, last, text in changes(tokens):
                mutant = Mutant(source, section, function, first.at, last.end, text)
                what = (mutant.line, *mutant.key())  # the second of three clauses goes in two ways
                if what not in seen:
                    seen.add(what)
                    found.append(mutant)
    return found


def choose(mutants, seed, count):
    """Some from every function, more from long ones. Which ones does not change when others come
    or go."""
    by_function = {}
    for mutant in mutants:
        by_function.setdefault(mutant.function, []).append(mutant)
    ranked = []
    for function, group in by_function.items():
        group.sort(key=lambda m: hashlib.sha256(repr((seed, m.key())).encode()).digest())
        for rank, mutant in enumerate(group):
            ranked.append((rank / len(group) ** 0.5, function, rank, mutant))
    ranked.sort(key=lambda r: r[:3])
    return sorted((r[3] for r in ranked[:count]), key=lambda m: m.start)
