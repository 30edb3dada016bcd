"""The ideas from which simulated tasks are drawn: the demo's ten, and more.

Values only. Each idea's questions, complaints, names and lines must be recognised as this idea's and no other's, and
each odd line as nobody's; a test holds the whole table to it.
"""

from sandbox.model.ideas import Idea
from sandbox.model.shop_ideas import SHOP_IDEAS

STOCK = Idea(
    key="stock",
    phrase="in stock at our warehouse",
    answer="It is in stock at our warehouse, 12 pieces are left.",
    vague="We have many nice products.",
    cues=(("stock", "availability"), ("state", "say", "tell", "mention", "check", "whether")),
    topics=("still available", "sold out"),
    questions=("Is it still available?", "The page says sold out, is that right?", "Is the blue one still available?"),
    complaints=(
        "So do you have it or not?",
        "I only wanted to know: do you have it?",
        "Never said: do you have it now?",
    ),
    signs=("do you have it",),
    names=("whether an item is in stock", "the stock of an item, which it should state", "a mention of the stock"),
    lines=(
        "State whether the item is in stock.",
        "Check the stock and say what is left.",
        "Tell customers about the availability of the item.",
    ),
    odd_lines=("Be precise about our products.",),
)
SIZE_CHART = Idea(
    key="size_chart",
    phrase="our size chart",
    answer="Please compare your measures with our size chart.",
    vague="It should fit most people.",
    cues=(("size chart", "size table"), ("point", "refer", "mention", "link", "show", "compare")),
    topics=("too small", "too big", "which size"),
    questions=("It is too small for me.", "Which size do I need?", "I fear that it is too big."),
    complaints=("No table of sizes anywhere.", "I still have to guess the size.", "Guessing what will fit is no fun."),
    signs=("table of sizes", "guess"),
    names=("pointing to the size chart", "a mention of the size chart", "the size chart, to which it should refer"),
    lines=(
        "Point to the size chart when somebody asks about a size.",
        "Refer customers to the size chart.",
        "Mention our size chart in every answer about sizes.",
    ),
    odd_lines=("Help people to find what fits.",),
)
INVOICE = Idea(
    key="invoice",
    phrase="the invoice as a PDF",
    answer="You find the invoice as a PDF in your account.",
    vague="The papers should be somewhere.",
    cues=(("invoice",), ("pdf", "account", "download", "where")),
    topics=("invoice", "receipt", "tax office"),
    questions=("I need an invoice.", "Can I get a receipt?", "My tax office wants to see something."),
    complaints=("Could not find the document.", "Where is the document then?", "No link to the document."),
    signs=("the document",),
    names=("where the invoice can be downloaded", "the invoice as a PDF in the account", "the PDF of the invoice"),
    lines=(
        "Say that the invoice is a PDF in the account.",
        "Tell customers where to download the invoice.",
        "Explain that each invoice lies in the account as a PDF.",
    ),
    odd_lines=("Help with paperwork.",),
)
DISCOUNTS = Idea(
    key="discounts",
    phrase="cannot offer a discount",
    answer="I am afraid that I cannot offer a discount.",
    vague="Something can surely be arranged for the price.",
    cues=(("discount", "rebate"), ("offer", "grant", "give", "hint", "promis")),
    topics=("cheaper", "discount", "coupon"),
    questions=("Can I have it cheaper?", "Is there a discount for regulars?", "Do you have a coupon for me?"),
    complaints=(
        "Hinted at a lower price and then nothing.",
        "The lower price did not exist.",
        "I was lured with a lower price.",
    ),
    signs=("lower price",),
    names=(
        "discounts, which the assistant must not offer",
        "not offering a discount",
        "never hinting at a discount",
    ),
    lines=(
        "Never offer a discount.",
        "Do not grant or hint at a discount.",
        "Never give a rebate, and say so.",
    ),
    odd_lines=("Protect our margins.",),
    prohibition=True,
)
APOLOGY = Idea(
    key="apology",
    phrase="We are sorry",
    answer="We are sorry for the trouble.",
    vague="These things happen.",
    cues=(("apolog", "say sorry", "regret"), ("mistake", "error", "trouble", "wrong")),
    topics=("wrong item", "wrong colour", "you forgot"),
    questions=("I got the wrong item.", "It has the wrong colour.", "You forgot half of it."),
    complaints=("Not even a sorry.", "A sorry would have been nice.", "Cold answer, no sorry, nothing."),
    signs=("sorry",),
    names=("an apology for mistakes", "apologising for a mistake", "an apology when something went wrong"),
    lines=(
        "Apologise for every mistake of ours.",
        "Begin with an apology when something went wrong.",
        "When we caused trouble, apologise first.",
    ),
    odd_lines=("Be warm.",),
)
GIFT = Idea(
    key="gift",
    phrase="gift wrapping for 3 euros",
    answer="We offer gift wrapping for 3 euros.",
    vague="We pack everything nicely.",
    cues=(("gift wrap", "wrapping"), ("offer", "price", "cost", "mention", "euros")),
    topics=("birthday", "present for", "as a present"),
    questions=("It is for a birthday.", "It is a present for my aunt.", "I need it as a present."),
    complaints=("Came in a plain brown box.", "It was not wrapped.", "Nobody said that it can come wrapped."),
    signs=("brown box", "wrapped"),
    names=("the offer of gift wrapping", "gift wrapping and its price", "a mention of gift wrapping"),
    lines=(
        "Offer gift wrapping and its price for presents.",
        "Mention gift wrapping when it is a present.",
        "Offer wrapping for 3 euros to people who buy presents.",
    ),
    odd_lines=("Make presents special.",),
)

VOCABULARY = (
    *SHOP_IDEAS,
    STOCK,
    SIZE_CHART,
    INVOICE,
    DISCOUNTS,
    APOLOGY,
    GIFT,
)

BEYOND_PROMPTS = (
    "The box was damaged.",
    "Shipping was slow, two weeks in total.",
    "Your app crashed again.",
    "The material feels cheap.",
    "Much too expensive for what it is.",
)
"""Complaints that no prompt can answer."""

BEYOND_SIGNS = ("damaged", "slow", "crashed", "feels cheap", "expensive")
"""By these keywords the simulated critic knows them."""
