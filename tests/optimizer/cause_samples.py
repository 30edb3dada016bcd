"""Criticisms from ordinary domains, by what they are about: the table that clustering is measured on."""

from collections.abc import Mapping, Sequence

BILLING: Mapping[str, Sequence[str]] = {
    "due date": (
        "The prompt does not tell the assistant to state the due date of the invoice.",
        "Invoice due dates are never mentioned in the answers.",
        "Nothing in the prompt asks for the date on which an invoice falls due.",
        "The assistant should say when the invoice is due.",
    ),
    "late fee": (
        "The prompt does not tell the assistant to state the late fee.",
        "Fees for late payment are left out.",
        "Late payment fees should be explained.",
        "There is no guidance on the fee that is charged for paying late.",
    ),
    "proration": (
        "The prompt does not tell the assistant to explain proration after a plan change.",
        "Prorated charges after an upgrade or other plan change are not explained.",
        "Prorating is missing: customers who change their plan see charges nobody explains.",
    ),
    "tax number": (
        "The prompt does not tell the assistant to ask for the tax number.",
        "Business customers are not asked for their tax numbers.",
        "Asking for a tax number is missing from the prompt.",
    ),
    "failed card": (
        "The prompt lacks steps for a declined card.",
        "When a card is declined the assistant offers no next steps.",
        "Declining cards: the prompt gives no steps to follow.",
    ),
}

MEDICAL: Mapping[str, Sequence[str]] = {
    "allergies": (
        "The note template leaves out known allergies.",
        "Allergies of the patient are not recorded in the summary.",
        "The prompt should require that an allergy is always listed.",
    ),
    "dosage": (
        "Dosages are copied without their units.",
        "The prompt never requires units for a dosage.",
        "A dosage must always be written with its unit.",
    ),
    "follow-up": (
        "The summary omits when the follow-up visit takes place.",
        "Follow-up visits are not scheduled in the summary.",
        "No follow-up visit is named.",
    ),
    "abbreviations": (
        "Abbreviations are used that patients cannot understand.",
        "The prompt allows unexplained abbreviations.",
        "Spell out every abbreviation for patients.",
    ),
    "smoking": (
        "Smoking history is not asked about.",
        "The prompt does not ask for the history of smoking.",
        "The note says nothing on whether the patient smokes; smoking history is missing.",
    ),
}

REVIEW: Mapping[str, Sequence[str]] = {
    "line numbers": (
        "Review comments do not cite line numbers.",
        "The prompt should demand the line number of every finding.",
        "Findings come without the number of the line they are about.",
    ),
    "tests": (
        "The review never asks whether tests cover the change.",
        "Missing test coverage of a change is not pointed out.",
        "The prompt is silent on test coverage.",
    ),
    "tone": (
        "The tone of the review is harsh.",
        "Nothing asks for a friendly tone; authors feel attacked by harsh words.",
        "Harsh tone towards authors is not ruled out.",
    ),
    "severity": (
        "Findings are not ranked by severity.",
        "The severity of a finding is missing.",
        "The prompt should ask for severities, the severe ones first.",
    ),
    "security": (
        "Security holes such as injection are overlooked.",
        "The prompt does not ask to look for security problems.",
        "Insecure code is approved: security is not part of the checklist.",
    ),
}

TRAVEL: Mapping[str, Sequence[str]] = {
    "visa": (
        "The prompt does not tell the assistant to mention visa requirements.",
        "Visa rules are left out of itineraries.",
        "Travellers are not warned that they may need a visa.",
    ),
    "budget": (
        "Suggestions exceed the budget of the traveller.",
        "The stated budget is ignored.",
        "The prompt should make the assistant respect budgets.",
    ),
    "opening hours": (
        "The prompt does not tell the assistant to mention opening hours.",
        "Museums are planned outside their opening hours.",
        "Opening hours of sights are not checked.",
    ),
    "transfer": (
        "Transfer times between airports are unrealistic.",
        "No time is planned for the transfer from the airport.",
        "Airport transfers are missing from the plan.",
    ),
    "accessibility": (
        "Wheelchair access is never considered.",
        "The prompt does not ask about wheelchair accessibility.",
        "Hotels are proposed that wheelchairs cannot access.",
    ),
}

DOMAINS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "billing": BILLING,
    "medical notes": MEDICAL,
    "code review": REVIEW,
    "travel": TRAVEL,
}
