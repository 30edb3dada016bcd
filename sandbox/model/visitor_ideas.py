"""Ideas of another trade: the information desk of a museum. Families are drawn from these and the shop's.

Values only, under the rules of `sandbox.model.vocabulary`. Each row becomes an `Idea` by the same sentences, so that
the words which tell ideas apart are the row's own; two nouns that mean the same keep a cause from being known by one.
"""

from dataclasses import dataclass

from sandbox.model.ideas import Idea

_VERBS = ("mention", "say", "tell", "stat", "explain", "cover", "give")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What sets one idea apart.

    Attributes:
        nouns: two words for the same thing.
        fact: the phrase that proves the idea.
        topics: what visitors ask about who need it.
        signs: the words by which they complain.
    """

    key: str
    nouns: tuple[str, str]
    fact: str
    topics: tuple[str, str, str]
    signs: tuple[str, str]


def _idea(row: _Row) -> Idea:
    first, second = row.nouns
    return Idea(
        key=row.key,
        phrase=row.fact,
        answer=f"Please note: {row.fact}.",
        vague="We are sure that it will be a nice visit.",
        cues=(row.nouns, _VERBS),
        topics=row.topics,
        questions=tuple(f"{opening} {topic}." for opening, topic in zip(_OPENINGS, row.topics, strict=True)),
        complaints=(
            f"Not a word about {row.signs[0]}.",
            f"I still know nothing about {row.signs[1]}.",
            f"The point was {row.signs[0]}, and that was left open.",
        ),
        signs=row.signs,
        names=(
            f"a mention of the {first}",
            f"telling visitors about the {second}",
            f"the {first}, which it should state",
        ),
        lines=(
            f"Mention the {first}: {row.fact}.",
            f"Tell visitors about the {second} in so many words.",
            f"State what holds for the {first} and explain it.",
        ),
        odd_lines=(f"Think of people who come with {row.topics[0]}.",),
    )


def _ban(row: _Row, promise: str) -> Idea:
    """An idea that forbids something: it is stated only with a negation."""
    first, second = row.nouns
    return Idea(
        key=row.key,
        phrase=row.fact,
        answer=f"I have to be frank: {row.fact}.",
        vague=f"Surely {promise} can be arranged.",
        cues=(row.nouns, ("promis", "offer", "grant", "hint")),
        topics=row.topics,
        questions=tuple(f"{opening} {topic}." for opening, topic in zip(_OPENINGS, row.topics, strict=True)),
        complaints=(
            f"Talked me into {row.signs[0]}.",
            f"There was {row.signs[1]} after all.",
            f"I was sure of {row.signs[0]} and it was not true.",
        ),
        signs=row.signs,
        names=(f"never promising a {first}", f"not offering a {second}", f"a {first}, which it must not promise"),
        lines=(
            f"Never promise a {first}.",
            f"Do not offer or hint at a {second}.",
            f"The assistant must not grant a {first}, and should be frank about it.",
        ),
        odd_lines=(f"Be modest when it is about {row.topics[0]}.",),
        prohibition=True,
    )


_OPENINGS = ("I have a question about", "Please help me with", "What should I know about")

_ROWS = (
    _Row(
        key="cloakroom",
        nouns=("cloakroom", "wardrobe"),
        fact="coats are kept at the entrance",
        topics=("my coat", "an umbrella", "wet clothes"),
        signs=("my jacket", "hanging things up"),
    ),
    _Row(
        key="lockers",
        nouns=("locker", "luggage room"),
        fact="bags need a one euro coin",
        topics=("a suitcase", "a rucksack", "heavy luggage"),
        signs=("my bags", "storing things"),
    ),
    _Row(
        key="audio_guide",
        nouns=("audio guide", "headset"),
        fact="the recording is free",
        topics=("listening on the way", "earphones", "a spoken tour"),
        signs=("what I could hear", "narration"),
    ),
    _Row(
        key="lift",
        nouns=("lift", "elevator"),
        fact="every floor is step-free",
        topics=("a wheelchair", "a pram", "walking with crutches"),
        signs=("stairs", "getting upstairs"),
    ),
    _Row(
        key="photos",
        nouns=("photography", "camera rule"),
        fact="flash is switched off",
        topics=("taking pictures", "a selfie", "filming"),
        signs=("my snapshots", "shooting"),
    ),
    _Row(
        key="cafe",
        nouns=("cafeteria", "coffee bar"),
        fact="lunch is served until three",
        topics=("eating", "something to drink", "a snack"),
        signs=("being hungry", "thirst"),
    ),
    _Row(
        key="parking",
        nouns=("car park", "garage"),
        fact="the first hour costs nothing",
        topics=("coming by car", "driving", "our minibus"),
        signs=("the vehicle", "where to park"),
    ),
    _Row(
        key="tram",
        nouns=("tram stop", "light rail"),
        fact="line 4 halts at the gate",
        topics=("public transport", "coming by train", "the way from the station"),
        signs=("the route", "getting there"),
    ),
    _Row(
        key="group",
        nouns=("group booking", "party reservation"),
        fact="ten people book a week ahead",
        topics=("our school class", "twelve colleagues", "a coach full of pensioners"),
        signs=("the whole bunch", "all of us"),
    ),
    _Row(
        key="children",
        nouns=("family ticket", "kids' ticket"),
        fact="under twelves go free",
        topics=("our two girls", "a toddler", "my grandson"),
        signs=("the little ones", "my son"),
    ),
    _Row(
        key="student",
        nouns=("concession", "reduced rate"),
        fact="students pay half",
        topics=("my student card", "apprentices", "university"),
        signs=("being a student", "my studies"),
    ),
    _Row(
        key="last_entry",
        nouns=("last admission", "final entry"),
        fact="doors shut an hour before",
        topics=("arriving late", "the evening", "being there by five"),
        signs=("turned away", "too late"),
    ),
    _Row(
        key="dogs",
        nouns=("pet policy", "animal rule"),
        fact="guide dogs are welcome",
        topics=("my dog", "a puppy", "our terrier"),
        signs=("four legs", "the poodle"),
    ),
    _Row(
        key="quiet",
        nouns=("quiet hour", "calm hour"),
        fact="mornings are without music",
        topics=("autism", "much noise", "being easily overwhelmed"),
        signs=("loudness", "the crowd"),
    ),
    _Row(
        key="workshop",
        nouns=("workshop", "hands-on course"),
        fact="clay is on Saturdays",
        topics=("making pottery", "doing crafts", "watercolours"),
        signs=("joining in", "being creative"),
    ),
    _Row(
        key="donation",
        nouns=("donor circle", "patron circle"),
        fact="patrons get a yearly dinner",
        topics=("giving money", "a bequest", "supporting the house"),
        signs=("my gift to the house", "generosity"),
    ),
    _Row(
        key="library",
        nouns=("reading room", "archive"),
        fact="files are ordered a day ahead",
        topics=("old documents", "research", "a thesis"),
        signs=("my sources", "papers to study"),
    ),
    _Row(
        key="lost",
        nouns=("lost property", "found items"),
        fact="the porter keeps it ten weeks",
        topics=("a glove left behind", "missing glasses", "a scarf that I forgot"),
        signs=("my belongings", "what I dropped"),
    ),
)
_BANS = (
    (
        _Row(
            key="private_tour",
            nouns=("private viewing", "solo opening"),
            fact="we cannot open for one person",
            topics=("being alone in there", "an empty hall", "having it to myself"),
            signs=("exclusive access", "just me"),
        ),
        "an evening alone",
    ),
    (
        _Row(
            key="valuation",
            nouns=("valuation", "appraisal"),
            fact="nobody here names a worth",
            topics=("an heirloom", "a painting from the attic", "old coins"),
            signs=("a fortune", "its worth"),
        ),
        "an estimate",
    ),
    (
        _Row(
            key="seat",
            nouns=("reserved seat", "kept chair"),
            fact="seats are first come, first served",
            topics=("the concert", "the lecture", "the film evening"),
            signs=("standing all night", "the front row"),
        ),
        "a good place",
    ),
)

VISITOR_IDEAS = (*(_idea(row) for row in _ROWS), *(_ban(row, promise) for row, promise in _BANS))
"""Eighteen ideas and three prohibitions."""
