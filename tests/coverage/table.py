"""The tables of tests/coverage/run, and its gate, from what llvm-cov exports.

table.py [--all] HEADER README FOLDER SOURCE...: of SOURCE there are FOLDER/SOURCE.json and .lcov;
all are held to the gate, and what the first one lacks is to be explained."""
import bisect
import json
import re
import sys
from collections import Counter, defaultdict

LAYERS = {"layer 1": range(1, 12), "layer 2": range(12, 14), "layer 3": range(14, 16),
          "layer 4": range(16, 17)}
GATE = 98
TITLES = {"unit": "unit tests", "fuzz": "inputs of the fuzz targets"}
EXPANSION, BRANCH, CONDITION = 1, 4, 6  # kinds of regions


class Header:
    """The text of mtasts.h: sections by line, and what stands at a place."""

    def __init__(self, path):
        with open(path, encoding="ascii") as file:
            self.lines = file.read().split("\n")
        banners = [(n, re.match(r"/\* ==== (\d+) (.*?) =+ \*/", line))
                   for n, line in enumerate(self.lines, 1)]
        self.banners = [(n, int(m[1])) for n, m in banners if m]
        self.titles = {int(m[1]): m[2] for _, m in banners if m}

    def section(self, line):
        """Declarations and bodies of a section have the same number."""
        at = bisect.bisect(self.banners, (line, 99)) - 1
        return self.banners[at][1]

    def text(self, region):
        """What stands there. Of the use of a macro, a region has only the macro's name."""
        first, column, last, end = region[:4]
        lines = self.lines[first - 1:last]
        lines[-1] = lines[-1][:end - 1] + self.arguments(last, end)
        lines[0] = lines[0][column - 1:]
        return " ".join(" ".join(lines).split())

    def arguments(self, line, column):
        rest = self.lines[line - 1][column - 1:] + "".join(self.lines[line:line + 5])
        depth = 0
        for i, c in enumerate(rest if rest.startswith("(") else ""):
            depth += (c == "(") - (c == ")")
            if depth == 0:
                return rest[:i + 1]
        return ""

    def use(self, region):
        """The use of a macro, shortened."""
        text = self.text(region)
        return text if len(text) <= 60 else text[:57] + "..."


class Function:
    def __init__(self, header, record):
        self.name = record["name"].split(":")[-1]
        self.header = header
        self.line, self.count = record["regions"][0][0], record["count"]
        self.section = header.section(self.line)
        self.branches = record["branches"]
        self.parent = {r[6]: r for r in record["regions"] if r[7] == EXPANSION}
        self.decisions = list(self.pair(record["mcdc_records"]))

    def inside(self, branch, decision, file):
        """The branch, or the use of the macro that it comes from, lies in the decision."""
        place = branch
        while place[5 if place is not branch else 6] != file:
            up = self.parent.get(place[5 if place is not branch else 6])
            if up is None:
                return False
            place = up
        return tuple(decision[:2]) <= tuple(place[:2]) and tuple(place[2:4]) <= tuple(decision[2:4])

    def pair(self, records):
        """Decisions with the branches that are their conditions. llvm-cov does not say which; nor
        from which use of a macro a decision comes: records for one place are in their order."""
        taken = defaultdict(int)
        conditions = [b for b in self.branches if b[8] == CONDITION]
        for record in records:
            groups = []
            for file in sorted({0} | set(self.parent)):
                group = [b for b in conditions if self.inside(b, record, file)]
                if group:
                    groups.append(group)
            place = tuple(record[:4])
            group = groups[taken[place]]
            taken[place] += 1
            if len(group) != len(record[6]):
                sys.exit(f"{self.name}: which conditions has the decision in line {record[0]}?")
            yield list(zip(group, record[6]))

    def label(self, branch):
        """The text of a condition; before it the use of the macro that it comes from."""
        text, file, line = self.header.text(branch), branch[6], branch[0]
        macro = ""
        while file in self.parent:
            use = self.parent[file]
            file, line = use[5], use[0]
            if not macro and "(" in self.header.use(use):
                macro = f"{self.header.use(use)}: "
        return macro + text, line

    def holes(self):
        """(line, text, what is wrong) of each condition that is not covered."""
        if not self.count:
            yield self.line, self.name, "is never called"
            return
        shown = {id(b): independent for d in self.decisions for b, independent in d}
        for branch in self.branches:
            wrong = {(0, 0): "is never reached", (0, 1): "is never true", (1, 0): "is never false",
                     (1, 1): "is not shown to count alone"}[branch[4] > 0, branch[5] > 0]
            if not (branch[4] and branch[5] and shown.get(id(branch), True)):
                text, line = self.label(branch)
                yield line, text, wrong


class Source:
    """What was counted with one set of inputs."""

    def __init__(self, header, folder, name):
        self.name = name
        with open(f"{folder}/{name}.json", encoding="ascii") as file:
            functions = json.load(file)["data"][0]["functions"]
        self.functions = [Function(header, f) for f in functions]
        self.counts = defaultdict(lambda: [0] * 6)  # by section: lines, branches, MC/DC
        self.lines = []
        with open(f"{folder}/{name}.lcov", encoding="ascii") as file:
            for line in file:
                if line.startswith("DA:"):
                    number, count = line[3:].split(",")[:2]
                    self.add(header.section(int(number)), 0, [count.strip() != "0"])
                    if count.strip() == "0":
                        self.lines.append(int(number))
        for f in self.functions:
            self.add(f.section, 1, [b[side] > 0 for b in f.branches for side in (4, 5)])
            self.add(f.section, 2, [shown for d in f.decisions for _, shown in d])

    def add(self, section, column, covered):
        self.counts[section][2 * column] += sum(covered)
        self.counts[section][2 * column + 1] += len(covered)

    def sums(self, sections):
        return [sum(self.counts[s][i] for s in sections) for i in range(6)]


def percent(covered, count):
    return 100 * covered / count if count else 100.0


def row(title, counts):
    cells = [f"{percent(a, n):7.2f} % {a:5}/{n:<5}" if n else f"{'-':>9}{'':12}"
             for a, n in zip(counts[::2], counts[1::2])]
    return f"{title:26}" + "".join(cells).rstrip()


def print_table(header, source):
    print(f"\n== coverage of mtasts.h by the {TITLES[source.name]}")
    print(f"{'section':26}{'lines':>9}{'branches':>21}{'MC/DC':>21}")
    for section, title in sorted(header.titles.items()):
        print(row(f"{section:2} {title}", source.counts[section]))
    for layer, sections in LAYERS.items():
        print(row(f"{layer} ({sections[0]} to {sections[-1]})", source.sums(sections)))
    print(row("all", source.sums(header.titles)))


def explanations(path):
    """Rows of the README's table: function | condition | why."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            cells = [c.strip().replace("\\|", "|")
                     for c in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
            if len(cells) == 3 and cells[1].startswith("`"):
                yield cells[0].strip("`"), cells[1].strip("`")


def runs(numbers):
    """[1, 2, 3, 7] -> (1, 3), (7, 7)"""
    first = last = None
    for n in sorted(numbers):
        if first is not None and n == last + 1:
            last = n
            continue
        if first is not None:
            yield first, last
        first = last = n
    if first is not None:
        yield first, last


def print_holes(header, source, sections):
    """Name what is not covered of some sections."""
    title = TITLES[source.name]
    print(f"\n== not covered by the {title}, sections {sections[0]} to {sections[-1]}")
    found = []
    for first, last in runs(n for n in source.lines if header.section(n) in sections):
        found.append((first, "line" if first == last else f"lines to {last}"))
    for f in source.functions:
        if f.section in sections:
            found += [(line, f"{f.name}: `{text}` {wrong}") for line, text, wrong in f.holes()]
    for line, text in sorted(found):
        print(f"mtasts.h:{line}: {text}")
    if not found:
        print("nothing")


def gate(source):
    covered, count = source.sums(LAYERS["layer 1"])[4:]
    print(f"MC/DC of layer 1 by the {TITLES[source.name]}: {percent(covered, count):.2f} %, "
          f"at least {GATE} % wanted")
    return percent(covered, count) >= GATE


def check_explained(source, explained):
    """What is not covered of layer 1 stands in the README, and nothing else does."""
    good = True
    holes, pure = Counter(), Counter()
    for f in source.functions:
        for _, text, _ in f.holes():
            holes[f.name, text] += 1
            pure[f.name, text] += f.section in LAYERS["layer 1"]
    for name, text in (pure - explained).elements():
        print(f"FAIL: not explained in tests/coverage/README.md: {name}: `{text}`")
        good = False
    for name, text in (explained - holes).elements():
        print(f"FAIL: explained in tests/coverage/README.md, but covered: {name}: `{text}`")
        good = False
    return good


def main(words):
    every = words[0] == "--all"
    path, readme, folder, *names = words[every:]
    header = Header(path)
    sources = [Source(header, folder, name) for name in names]
    for source in sources:
        print_table(header, source)
    for source in reversed(sources):
        print_holes(header, source, range(1, 17 if every else 12))
    print()
    good = all([gate(source) for source in sources])
    good &= check_explained(sources[0], Counter(explanations(readme)))
    print("ok" if good else "FAIL: coverage of layer 1")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
