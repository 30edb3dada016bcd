"""The ten ideas of the demo's shop: what its support assistant should and should not say.

Values only, under the rules of `sandbox.model.vocabulary`.
"""

from sandbox.model.ideas import Idea

REFUND_WINDOW = Idea(
    key="refund_window",
    phrase="30 days",
    answer="You can send the item back within 30 days and get your money.",
    vague="You can send the item back for some time after the purchase.",
    cues=(("refund", "return", "money back"), ("window", "30 days", "deadline", "days")),
    topics=("refund", "money back", "return"),
    questions=("Can I still get a refund?", "I want my money back, is that possible?", "I would like to return it."),
    complaints=(
        "You never told me how long I have to return it.",
        "I asked for a refund and no deadline anywhere in the answer.",
        "Still don't know until when I can give it back.",
    ),
    signs=("how long I have", "deadline", "until when"),
    names=(
        "the refund window in days",
        "how many days customers have for a refund (the refund window)",
        "the refund window, the deadline in days for refunds and returns",
    ),
    lines=(
        "State the refund window: items can be returned within 30 days.",
        "When somebody asks about a refund, name the refund window in days.",
        "For every refund or return, give the deadline in days.",
    ),
    odd_lines=("Be concrete about sending things back.",),
)
ORDER_NUMBER = Idea(
    key="order_number",
    phrase="your order number",
    answer="Please tell me your order number so that I can look it up.",
    vague="I will have a look at it.",
    cues=(("order number", "order id", "order reference"), ("ask", "quote", "request", "repeat", "include", "confirm")),
    topics=("parcel",),
    questions=("Where is my parcel?", "My parcel has not arrived, what now?", "I think that my parcel is lost."),
    complaints=(
        "Nobody asked which order I meant.",
        "It did not even want to know my order number.",
        "How do you look up a parcel without knowing which order it is?",
    ),
    signs=("which order", "my order number"),
    names=(
        "the order number, which the assistant should ask for",
        "asking customers for their order number",
        "a request for the order number",
    ),
    lines=(
        "Ask for the order number when somebody asks about a parcel.",
        "Always request the order number before looking into a missing parcel.",
        "Quote or ask for the order number in every answer about a parcel.",
    ),
    odd_lines=("Find out which purchase the customer means.",),
)
LANGUAGE = Idea(
    key="language",
    phrase="Guten Tag",
    answer="Guten Tag, gern helfe ich Ihnen weiter.",
    vague="Hello, I am glad to help.",
    cues=(("language",), ("customer", "same", "their", "question", "user")),
    topics=("auf Deutsch", "kein Englisch", "Grüße aus"),
    questions=(
        "Bitte antworten Sie mir auf Deutsch.",
        "Ich verstehe leider kein Englisch.",
        "Danke und viele Grüße aus Graz.",
    ),
    complaints=(
        "Ich hatte auf Deutsch gefragt und bekam Englisch.",
        "Answered in English although I wrote in German.",
        "Had to run it through a translator.",
    ),
    signs=("auf Deutsch", "in German", "translator"),
    names=(
        "answering in the customer's language",
        "the language of the customer, in which it should answer",
        "the same language as the customer's question",
    ),
    lines=(
        "Answer in the language of the customer.",
        "Reply in the same language as the question.",
        "Always use the customer's language.",
    ),
    odd_lines=("Mind that people write to us from several countries.",),
)
DELIVERY_DATES = Idea(
    key="delivery_dates",
    phrase="cannot promise a date",
    answer="It is on its way, but I cannot promise a date.",
    vague="It will surely be with you in a moment.",
    cues=(("promis", "guarantee", "commit"), ("delivery", "arrival", "deliveries"), ("date", "day", "time")),
    topics=("when will it", "by Friday", "in time for"),
    questions=("When will it be delivered?", "Will it be here by Friday?", "Does it come in time for the weekend?"),
    complaints=(
        "You promised it for Friday and that was not true.",
        "An empty promise, nothing came.",
        "Don't make promises that nobody can keep.",
    ),
    signs=("promise",),
    names=(
        "promises of delivery dates, which the assistant must not make",
        "not promising any delivery date",
        "never promising a date of delivery",
    ),
    lines=(
        "Never promise a delivery date.",
        "Do not make promises about delivery dates.",
        "Never commit to a date of arrival; say that you cannot promise one.",
    ),
    odd_lines=("Be careful with statements about the carrier.",),
    prohibition=True,
)
HUMAN = Idea(
    key="human",
    phrase="a human colleague",
    answer="I can connect you with a human colleague at any time.",
    vague="I am sure that we will find something.",
    cues=(("human", "colleague", "real person"), ("offer", "connect", "escalat", "transfer")),
    topics=("talk to someone", "third time", "nobody helps"),
    questions=("This is the third time I write!", "Can I talk to someone about it?", "Nobody helps me with this."),
    complaints=(
        "No way to reach a real person.",
        "I wanted a human and got a bot in a loop.",
        "Is there a real person in this shop at all?",
    ),
    signs=("real person", "a human"),
    names=(
        "offering a human colleague",
        "the offer to connect the customer with a human colleague",
        "an escalation to a human colleague",
    ),
    lines=(
        "Offer to connect the customer with a human colleague.",
        "Offer a human colleague when the customer is upset.",
        "Escalate to a human colleague when you cannot solve the problem, and offer that early.",
    ),
    odd_lines=("Take upset people seriously.",),
)
STEPS = Idea(
    key="steps",
    phrase="Step 1",
    answer="Step 1: open your account. Step 2: choose the entry. Step 3: confirm.",
    vague="You can do that somewhere in your account.",
    cues=(("step",), ("number", "list", "one by one")),
    topics=("how do I", "how can I"),
    questions=("How do I change my address?", "How do I reset my password?", "How can I redeem a voucher?"),
    complaints=(
        "One long sentence, I got lost halfway.",
        "Too muddled, what comes first?",
        "I could not follow this, what do I click first?",
    ),
    signs=("got lost", "comes first", "click first"),
    names=(
        "instructions as a numbered list of steps",
        "numbered steps for instructions",
        "a list of numbered steps",
    ),
    lines=(
        "Write instructions as a numbered list of steps.",
        "When somebody asks how something is done, list the steps and number them.",
        "Give numbered steps for every instruction.",
    ),
    odd_lines=("Explain procedures clearly.",),
)
HOURS = Idea(
    key="hours",
    phrase="Monday to Friday",
    answer="Our phone line is open Monday to Friday from 9 to 17.",
    vague="Our phone line is open at the usual times.",
    cues=(("opening hours", "business hours"), ("give", "giving", "state", "mention", "name", "tell", "include")),
    topics=("call you", "phone"),
    questions=("When can I call you?", "Can I phone you today?", "I would rather phone."),
    complaints=(
        "Called and nobody picked up, no word about opening hours.",
        "At which hours does anybody answer?",
        "Wasted an evening, the opening hours were not in there.",
    ),
    signs=("opening hours", "which hours"),
    names=(
        "the opening hours, which it should give",
        "giving the opening hours of the phone line",
        "a mention of the opening hours",
    ),
    lines=(
        "Give our opening hours when somebody wants to call.",
        "Mention the opening hours with the phone number.",
        "State the business hours to everybody who asks for a call.",
    ),
    odd_lines=("Tell people how to reach us.",),
)
WARRANTY = Idea(
    key="warranty",
    phrase="two-year warranty",
    answer="It is covered by our two-year warranty.",
    vague="That should not happen with our products.",
    cues=(("warranty",), ("two", "year", "length", "long", "mention", "state")),
    topics=("broke", "defective", "stopped working"),
    questions=("It broke on the first day.", "It seems to be defective.", "It stopped working yesterday."),
    complaints=(
        "Not a word about the warranty.",
        "Is it covered or is it not?",
        "I had to find out about the warranty myself.",
    ),
    signs=("warranty", "covered"),
    names=(
        "the length of the warranty",
        "how long the warranty lasts",
        "the two-year warranty, which it should mention",
    ),
    lines=(
        "Mention the two-year warranty when something is broken.",
        "State the length of the warranty for defective items.",
        "Say how long the warranty lasts when an item fails.",
    ),
    odd_lines=("Be fair when something is broken.",),
)
SHIPPING_COST = Idea(
    key="shipping_cost",
    phrase="free above 40 euros",
    answer="Shipping is free above 40 euros and 4.90 euros below.",
    vague="Shipping is quite cheap with us.",
    cues=(("shipping", "postage"), ("cost", "fee", "price", "free")),
    topics=("shipping", "postage"),
    questions=("What is the shipping to Austria?", "How much is the postage?", "Is shipping included?"),
    complaints=(
        "Still no idea what postage I pay.",
        "An extra fee at the checkout that you kept quiet about.",
        "Cheap is not a number, what is the postage?",
    ),
    signs=("postage", "extra fee"),
    names=("the cost of shipping", "shipping costs and when shipping is free", "the price of shipping"),
    lines=(
        "State the cost of shipping and from which sum on it is free.",
        "Name the shipping fee in euros.",
        "Give the price of shipping when somebody asks what it costs.",
    ),
    odd_lines=("Be open about everything that is charged.",),
)
CARD_DETAILS = Idea(
    key="card_details",
    phrase="do not send card details",
    answer="For your safety, do not send card details in this chat.",
    vague="Tell me everything that I need for the payment.",
    cues=(("card details", "card data", "payment details"), ("ask", "send", "request", "share", "accept")),
    topics=("credit card", "payment failed"),
    questions=("My credit card was declined.", "The payment failed twice.", "Can you charge my credit card again?"),
    complaints=(
        "It let me type my bank data into a chat!",
        "Nobody warned me about the safety of my bank data.",
        "Asking for bank data in a chat is not serious.",
    ),
    signs=("bank data",),
    names=(
        "not asking for card details in the chat",
        "warning customers not to send card details",
        "card details, which customers must not send",
    ),
    lines=(
        "Never ask for card details; tell customers not to send them.",
        "Do not accept card details in the chat and warn customers not to send any.",
        "Never request card details from a customer.",
    ),
    odd_lines=("Treat payments with care.",),
    prohibition=True,
)

SHOP_IDEAS = (
    REFUND_WINDOW,
    ORDER_NUMBER,
    LANGUAGE,
    DELIVERY_DATES,
    HUMAN,
    STEPS,
    HOURS,
    WARRANTY,
    SHIPPING_COST,
    CARD_DETAILS,
)
