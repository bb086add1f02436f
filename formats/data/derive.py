#!/usr/bin/env python3
"""Writes national_numbers.csv from libphonenumber's metadata (`pip install phonenumbers`).

One line for each country code, way of writing, and numbers of digits: how national numbers in use begin, by their first three
digits. `bare`: they are, or may be, written with nothing before them; `prefixed`: the national prefix stands before them. The
form that libphonenumber gives a number decides: one without the national prefix, or that may be without it. Codes of no country
(800 and others) are among them.
"""

import random
import re
import sys
from collections import defaultdict
from functools import lru_cache
from re import _constants as op
from re import _parser as parser

import phonenumbers
from phonenumbers import PhoneMetadata

KINDS = "fixed_line mobile toll_free premium_rate shared_cost personal_number voip pager uan".split()
DEPTH = 3
SAMPLES = 24
DIGITS = "0123456789"
# Written without their prefix everywhere, whatever libphonenumber's own way is.
ALWAYS_BARE = {"BO", "BR", "LB", "MN"}


class Machine:
    """A pattern of digits as a machine of states: (digits, next) and free moves."""

    def __init__(self, patterns):
        self.moves, self.free = [], []
        self.start, self.end = self.state(), self.state()
        for pattern in patterns:
            first = self.state()
            self.free[self.start].append(first)
            self.free[self.sequence(parser.parse(pattern), first)].append(self.end)

    def state(self):
        self.moves.append([])
        self.free.append([])
        return len(self.moves) - 1

    def step(self, at, digits):
        to = self.state()
        self.moves[at].append((frozenset(digits), to))
        return to

    def sequence(self, parts, at):
        for kind, value in parts:
            at = self.part(kind, value, at)
        return at

    def part(self, kind, value, at):
        if kind is op.LITERAL:
            return self.step(at, chr(value))
        if kind is op.IN:
            return self.step(at, "".join(map(members, value)))
        if kind is op.SUBPATTERN:
            return self.sequence(value[-1], at)
        if kind is op.BRANCH:
            to = self.state()
            for branch in value[1]:
                self.free[self.sequence(branch, at_of(self, at))].append(to)
            return to
        if kind is op.MAX_REPEAT:
            least, most, inner = value
            for _ in range(least):
                at = self.sequence(inner, at)
            to = self.state()
            self.free[at].append(to)
            for _ in range(int(most) - least):
                at = self.sequence(inner, at)
                self.free[at].append(to)
            return to
        raise ValueError(f"{kind} is not understood")

    @lru_cache(maxsize=None)
    def closed(self, states):
        todo, seen = list(states), set(states)
        while todo:
            for to in self.free[todo.pop()]:
                if to not in seen:
                    seen.add(to)
                    todo.append(to)
        return frozenset(seen)

    @lru_cache(maxsize=None)
    def after(self, states, digit):
        return self.closed(frozenset(to for at in states for digits, to in self.moves[at] if digit in digits))

    @lru_cache(maxsize=None)
    def ends_after(self, states, left):
        if not states:
            return False
        if left == 0:
            return self.end in states
        return any(self.ends_after(self.after(states, digit), left - 1) for digit in DIGITS)

    def begin(self, text):
        states = self.closed(frozenset([self.start]))
        for digit in text:
            states = self.after(states, digit)
        return states

    def sample(self, begin, length):
        text, states = begin, self.begin(begin)
        while len(text) < length:
            digit = random.choice([d for d in DIGITS if self.ends_after(self.after(states, d), length - len(text) - 1)])
            text, states = text + digit, self.after(states, digit)
        return text


def at_of(machine, at):
    to = machine.state()
    machine.free[at].append(to)
    return to


def members(item):
    kind, value = item
    if kind is op.LITERAL:
        return chr(value)
    if kind is op.RANGE:
        return "".join(map(chr, range(value[0], value[1] + 1)))
    if kind is op.CATEGORY and value is op.CATEGORY_DIGIT:
        return DIGITS
    raise ValueError(f"{item} is not understood")


def is_bare(forms, number):
    for form in forms:
        leading = form.leading_digits_pattern
        if (not leading or re.match(leading[-1], number)) and re.fullmatch(form.pattern, number):
            rule = (form.national_prefix_formatting_rule or "").replace(r"\1", "")
            return not re.search(r"\d", rule) or bool(form.national_prefix_optional_when_formatting)
    return False


def add_numbers(region, rules, forms, found):
    """Adds to `found`: (is bare, number of digits) to the beginnings."""
    descs = [getattr(rules, kind) for kind in KINDS]
    descs = [desc for desc in descs if desc and desc.national_number_pattern and desc.possible_length != (-1,)]
    machine = Machine({desc.national_number_pattern for desc in descs})
    for length in sorted({n for desc in descs for n in desc.possible_length if n > DEPTH}):
        for n in range(10**DEPTH):
            begin = f"{n:0{DEPTH}}"
            if machine.ends_after(machine.begin(begin), length - DEPTH):
                samples = [machine.sample(begin, length) for _ in range(SAMPLES)]
                bare = not rules.national_prefix or region in ALWAYS_BARE or any(is_bare(forms, number) for number in samples)
                found[bare, length].add(n)


def ranges(begins):
    """`201-209 230`."""
    runs = []
    for n in sorted(begins):
        if runs and runs[-1][1] == n - 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    return " ".join(f"{first:03}" if first == last else f"{first:03}-{last:03}" for first, last in runs)


def lines_of(code, regions):
    found = defaultdict(set)
    for region in regions:
        rules = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        main_rules = PhoneMetadata.metadata_for_region_or_calling_code(code, regions[0])
        add_numbers(region, rules, rules.number_format or main_rules.number_format, found)
    alike = defaultdict(list)
    for (bare, length), begins in sorted(found.items()):
        alike[bare, ranges(begins - (found[True, length] if not bare else set()))].append(str(length))
    for (bare, begins), lengths in alike.items():
        if begins:
            yield f"{code},{'bare' if bare else 'prefixed'},{' '.join(lengths)},{begins}"


def main():
    random.seed(1)
    print("country_code,written,digits,begins")
    for code, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()):
        for line in lines_of(code, regions):
            print(line)


if __name__ == "__main__":
    sys.exit(main())
