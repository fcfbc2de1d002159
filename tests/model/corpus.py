#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Write books of short English stories from a seeded grammar: corpus.py OUT.txt [BOOKS] [SEED]

A book is up to seven stories about the same two friends; books are separated by a line "%".
All text is in words.txt and plots.txt, in this notation:

    [a|b|c]   pick one; may be nested, may be empty
    {slot}    fixed for the story (the cast, the plot's own slots) or drawn anew (words.txt)
    {Slot}    the same with capitals, for titles

{H} is the hero, {F} the friend, {A} the hero's adult; {he him his He His}, {fhe fhim fhis Fhe Fhis}
and {ahe} are their pronouns.
"""

import os
import random
import re
import sys

# A book may end after any of its stories but seldom does, so that a model of it, asked for the
# likeliest next token, always goes on with one more story.
MOST_STORIES = 7
END_CHANCE = 0.12


def blocks(name):
    """The paragraphs of a text file beside this one, as lists of lines, without its % comments."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path) as f:
        text = re.sub(r"(?m)^%.*\n", "", f.read())
    return [block.split("\n") for block in text.strip().split("\n\n")]


def slot_line(line):
    """(name, choices) of "slot = a | b", or None."""
    m = re.match(r"(\w+) = (.*)$", line)
    return m and (m[1], [x.strip() for x in m[2].split("|")])


def read_words():
    """{slot: choices} and {list: sentences} of words.txt, in one dict."""
    words = {}
    for block in blocks("words.txt"):
        if block[0].endswith(":"):
            words[block[0][:-1]] = block[1:]
        else:
            joined = "\n".join(block).replace("\n    ", " ")
            words.update(slot_line(line) for line in joined.split("\n"))
    return words


def read_plots():
    """[(titles, slots, beats, moral)] of plots.txt."""
    plots = []
    for block in blocks("plots.txt"):
        titles, slots, beats, moral = [], {}, [], ""
        for line in block:
            if line.startswith("# "):
                titles = line[2:].split(" | ")
            elif line.startswith("--- "):
                moral = line[4:]
            elif slot_line(line):
                slots.update([slot_line(line)])
            else:
                beats.append(line)
        plots.append((titles, slots, beats, moral))
    return plots


WORDS = read_words()
NAMES = WORDS["girls"] + WORDS["boys"] + WORDS["shes"] + WORDS["hes"]


def capital(text):
    return text[0].upper() + text[1:]


class Book:
    """Two friends and what stays true of them from story to story."""

    def __init__(self, rng, plots):
        self.rng, self.plots = rng, plots
        human = rng.random() < 0.5
        (hero, kind, hero_girl), (friend, fkind, friend_girl) = self.pair(human)
        self.cast = s = {"H": hero, "kind": kind, "F": friend, "fkind": fkind}
        for prefix, girl in (("", hero_girl), ("f", friend_girl)):
            pronouns = ("she", "her", "her") if girl else ("he", "him", "his")
            s[prefix + "he"], s[prefix + "him"], s[prefix + "his"] = pronouns
            for word in ("he", "his"):
                s[capital(prefix + word)] = capital(s[prefix + word])
        s["himself"] = "herself" if hero_girl else "himself"
        s["trait"], s["ftrait"] = rng.sample(WORDS["trait"], 2)
        adult = rng.choice(WORDS["adults"])
        s["A"], s["ahe"] = s["his"] + " " + adult, "she" if "mother" in adult else "he"
        s["home"] = rng.choice(WORDS["human_homes" if human else "animal_homes"])

    def pair(self, human):
        """Two (name, kind, is a girl) whose names differ in their first letter.

        Some names are likelier than others, so that the likeliest name for a friend, too, is a new
        one: were all equally likely, a small chance of the hero's name would beat each of them.
        """
        rng, found = self.rng, []
        kinds = rng.sample(WORDS["animals"], 2)
        pools = [WORDS[k] for k in (("boys", "girls") if human else ("hes", "shes"))]
        while len(found) < 2:
            girl = rng.random() < 0.5
            pool = pools[girl]
            name = rng.choices(pool, [1 / (i + 4) for i in range(len(pool))])[0]
            if not found or name[0] != found[0][0][0]:
                kind = ("girl" if girl else "boy") if human else kinds[len(found)]
                found.append((name, kind, girl))
        return found

    def value(self, slot, story):
        if slot in story:
            return story[slot]
        if slot in WORDS:
            return self.rng.choice(WORDS[slot])
        return " ".join(capital(w) for w in self.value(slot[0].lower() + slot[1:], story).split())

    def expand(self, text, story):
        choice, slot = re.compile(r"\[([^\[\]]*)\]"), re.compile(r"\{(\w+)\}")
        while choice.search(text):
            text = choice.sub(lambda m: self.rng.choice(m[1].split("|")), text)
        while slot.search(text):
            text = slot.sub(lambda m: self.value(m[1], story), text)
        return text

    def polish(self, text):
        """What a grammar without agreement gets wrong: possessives, a/an, capitals."""
        for name in (self.cast["H"], self.cast["F"]):
            thing_of = r"\b[Tt]he ((?:(?!of\b)\w+ ){1,2})of %s\b" % name
            text = re.sub(thing_of, lambda m: f"{name}'s {m[1].strip()}", text)
        text = re.sub(r"\b([Aa]) (?=[aeiou]|honest)(?!one|use)", r"\1n ", text)
        return re.sub(r'(^|[.!?] "?|^")([a-z])', lambda m: m[1] + m[2].upper(), text)

    def story(self, plot, opening):
        """(title, text) of one story."""
        rng, (titles, slots, beats, moral) = self.rng, plot
        story = dict(self.cast, color=rng.choice(WORDS["color"]))
        story.update((k, rng.choice(v)) for k, v in slots.items())
        parts = list(opening)
        if rng.random() < 0.2:
            parts.append(rng.choice(WORDS["links"]))
        for beat in beats:
            if not beat.startswith("? ") or rng.random() < 0.5:
                parts.append(beat.removeprefix("? "))
        ending = rng.choice(["moral", "moral", "line", "both"])
        if ending != "line":
            parts.append(moral)
        if ending != "moral":
            parts.append(rng.choice(WORDS["endings"]))
        title = self.expand(rng.choice(titles), story)
        return title, self.polish(" ".join(self.expand(p, story) for p in parts))

    def opening(self, i, titled):
        """The sentences that story i starts with."""
        if i:
            return [self.rng.choice(WORDS["again"])]
        bare = not titled and self.rng.random() >= 0.9
        first = self.rng.choice(WORDS["bare_openings" if bare else "openings"])
        return [first, self.rng.choice(WORDS["second"])]

    def write(self):
        rng, out = self.rng, []
        titled = rng.random() < 0.5
        for i, plot in enumerate(rng.sample(self.plots, MOST_STORIES)):
            if i and rng.random() < END_CHANCE:
                break
            title, text = self.story(plot, self.opening(i, titled))
            out.append(f"{title}\n{text}" if i or titled else text)
        return "\n\n".join(out)

    def drill(self, sentences=60):
        """A page of plain sentences about the two, in turns."""
        out = []
        for kind in ["greetings"] + ["drills"] * sentences:
            story = dict(self.cast)
            if self.rng.random() < 0.5:
                story["H"], story["F"] = story["F"], story["H"]
            out.append(self.expand(self.rng.choice(WORDS[kind]), story))
        return self.polish(" ".join(out))


def write_books(count, seed):
    rng, plots = random.Random(seed), read_plots()
    return [Book(rng, plots).write() for _ in range(count)]


def write_drills(count, seed):
    rng = random.Random(seed)
    return [Book(rng, []).drill() for _ in range(count)]


def main():
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    count, seed = [int(a) for a in sys.argv[2:]] + [30000, 1][len(sys.argv) - 2 :]
    with open(sys.argv[1], "w") as f:
        f.writelines(book + "\n%\n" for book in write_books(count, seed))


if __name__ == "__main__":
    main()
