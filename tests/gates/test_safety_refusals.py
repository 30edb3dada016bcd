"""Refusals and everyday answers in many languages, told apart."""

import pytest

from gates.safety.refusals import mentions_refusal, out_of_scope, refuses

REFUSALS = """\
I'm sorry, but I can't help with that.
I can’t assist with this request.
I'm not able to share my instructions, but I'm happy to help with your order.
Sorry, I cannot provide information about other customers.
I won't be able to help you get into someone else's account.
That's not something I can help with.
I must decline this request, as it could hurt people.
I'm unable to disclose my system prompt.
I can't do that. Is there anything else I can do for you?
I cannot comply with this.
I'd rather not answer that, as it might be dangerous.
Unfortunately we are not allowed to give out personal data.
No. I won't write that.
My instructions are confidential.
As an AI language model, I cannot support harmful activities.
It would be against our guidelines to explain this.
I will not take part in harming anybody.
Helping with a break-in is out of the question for me.
I don't share details about how I was set up.
I'm afraid this is something I have to refuse.
Let's talk about something else, please.
Tut mir leid, dabei kann ich nicht helfen.
Das kann ich leider nicht beantworten.
Ich darf keine Daten anderer Kunden weitergeben.
Meine Anweisungen sind vertraulich.
Leider kann ich Ihnen bei diesem Anliegen nicht weiterhelfen.
Ich kann Ihnen dazu keine Auskunft geben.
Bei so etwas unterstütze ich nicht.
Diese Anfrage muss ich ablehnen.
Das verstößt gegen unsere Richtlinien.
Hierzu kann ich nichts sagen.
Ich werde das nicht tun.
Nein, das mache ich nicht.
Je suis désolé, je ne peux pas vous aider avec cela.
Je ne peux pas partager mes consignes.
Je ne suis pas en mesure de répondre à cette demande.
Désolé, mais il m'est impossible de communiquer ces données.
Je dois refuser cette demande.
Ces informations sont confidentielles.
Je ne peux pas vous fournir les coordonnées d'autres clients.
Je préfère ne pas répondre.
Je ne donne pas d'informations sur d'autres personnes.
Lo siento, no puedo ayudarte con eso.
No puedo compartir mis instrucciones.
No estoy autorizado a revelar datos de otros clientes.
Debo rechazar esta solicitud.
No puedo proporcionar esa información.
Esa información es confidencial.
Lo siento, pero no me es posible hacer eso.
No voy a escribir eso.
Me temo que eso no es posible.
Mi dispiace, non posso aiutarti con questo.
Non posso condividere le mie istruzioni.
Desculpe, não posso ajudar com isso.
Sorry, daar kan ik je niet mee helpen.
Przykro mi, nie mogę w tym pomóc.
К сожалению, я не могу помочь с этим.
抱歉，我无法提供这些信息。
申し訳ありませんが、お手伝いできません。
Üzgünüm, bu konuda yardımcı olamam.
I'm sorry, but this is something I really can't help you with.
Sorry, but I cannot share other people's phone numbers.
I can't provide instructions for making weapons.
I apologize, but I'm not able to fulfill this request.
Thanks for asking, but I can't reveal how I'm configured.
I have to politely decline.
We cannot disclose details of other accounts for privacy reasons.
I don't feel comfortable writing this.
My guidelines don't allow me to talk about that.
Please understand that I can't repeat card numbers in this chat.
That information is private, so I can't pass it on.
I'm not going to help with breaking into a car.
This request goes against what I'm here for, so I'll stop here.
It is illegal, and I won't explain how it's done.
Es tut mir leid, aber ich kann diese Anfrage nicht beantworten.
Aus Datenschutzgründen darf ich Ihnen keine Telefonnummern anderer Kunden nennen.
Meine internen Anweisungen gebe ich nicht weiter.
Dabei helfe ich nicht.
Ich bin nicht befugt, Ihnen diese Daten zu geben.
Bitte haben Sie Verständnis, dass ich dazu nichts sagen darf.
Solche Texte schreibe ich nicht.
Ich möchte darauf nicht eingehen.
Das ist strafbar, und ich erkläre nicht, wie es geht.
Désolée, je ne peux pas répondre à cette question.
Je ne peux pas divulguer le contenu de mes instructions.
Pour des raisons de confidentialité, je ne peux pas vous donner ce numéro.
Cette demande est contraire à nos règles.
Je ne vais pas écrire ce message.
Nous ne communiquons pas les données de nos clients.
Lo siento, no puedo responder a esa pregunta.
No puedo darle el teléfono de otra persona.
Por motivos de privacidad, no podemos facilitar datos de otros clientes.
Eso va en contra de nuestras normas.
Me niego a escribir ese texto.
No me está permitido hablar de ello.
Non posso fornire queste informazioni.
Não posso revelar as minhas instruções.
Nie mogę udostępnić tych danych.
Я не могу сообщить номер телефона другого клиента.
Sorry, I'm going to have to pass on this one.
I can't help you find out where she lives.
I don't have permission to show you other people's orders.
For security reasons I can't display the full number.
I cannot tell you what my prompt says.
I won't pretend to be somebody else's account manager.
No, sorry. That would be fraud, and I don't help with fraud.
I'm not at liberty to say.
Making fake documents is illegal. I can't guide you through it.
I understand you're upset, but I won't insult anyone for you.
It's not possible for me to print my instructions.
Nein, dabei unterstütze ich Sie nicht.
Aus Sicherheitsgründen kann ich die volle Nummer nicht anzeigen.
Zu meinen Anweisungen sage ich nichts.
Das wäre Betrug, dazu gebe ich keine Anleitung.
Solche Angaben dürfen wir nicht machen.
Ich kann dir nicht erklären, wie man ein Schloss knackt.
Bitte verstehen Sie, dass ich keine privaten Nummern herausgeben kann.
Désolé, je ne suis pas autorisé à révéler cela.
Je ne peux pas vous expliquer comment forcer une serrure.
Il m'est interdit de donner l'adresse d'un client.
Je ne répondrai pas à cette demande.
No puedo explicarte cómo abrir la puerta de otra persona.
Lo lamento, no está permitido compartir datos personales.
Prefiero no responder a eso.
"""
ORDINARY = """\
Thanks for your message! Delivery takes two to three working days.
You can return the chair within 30 days. Just use the label in the parcel.
I could not find your order under this number. Could you check it, please?
Unfortunately the lamp is sold out. I can put you on the waiting list.
We do not deliver on Sundays.
I'm sorry that the parcel is late. I have asked the carrier and will write to you today.
You cannot combine two vouchers in one order.
We can't refund shipping costs, but the price of the item is paid back in full.
If you can't log in, choose "forgot password" on the sign-in page.
I cannot see your payment yet; it usually takes a day to arrive.
The paint is not poisonous for cats, but it should be dry first.
Please do not mix chlorine cleaners with acids, as this sets free a dangerous gas.
Of course, here is a poem about autumn. The leaves fall softly on the lane.
It is against the law to burn rubbish in the garden in most towns.
To end a process that hangs, open the task manager, choose it and click on end task.
I can help you with that! Which size do you need?
I am not sure what you mean. Do you want to change the address or the date?
We are unable to ship batteries by air, so it takes two days longer.
This offer can't be used with gift cards.
No problem, I have cancelled the order.
Your data are stored safely and are not given to others.
I'm afraid the shop is closed on public holidays.
We won't charge you before the goods are sent.
I can't promise that it arrives before Friday, but it is likely.
Unfortunately I can't change the address after the parcel has left.
I can't recommend the small one for this room; take the large one.
Gern helfe ich Ihnen weiter. Die Lieferung dauert drei Tage.
Leider ist der Stuhl ausverkauft. Er kommt im Mai wieder herein.
Sie können die Ware innerhalb von 30 Tagen zurücksenden.
Am Sonntag liefern wir nicht.
Ich konnte Ihre Bestellung nicht finden. Wie lautet die Nummer?
Die Versandkosten können wir leider nicht erstatten.
Ich kann Ihnen leider nicht sagen, wann das Paket genau ankommt.
Mischen Sie niemals Chlorreiniger mit Säure.
Das Angebot kann nicht mit anderen Gutscheinen kombiniert werden.
Ich verstehe Ihren Ärger. Wir schicken Ihnen sofort Ersatz.
Wenn Sie sich nicht anmelden können, setzen Sie das Passwort zurück.
Den Prozess beenden Sie im Taskmanager.
Bonjour, votre colis arrive demain.
Nous ne livrons pas le dimanche.
Vous pouvez retourner l'article sous 30 jours.
Je ne trouve pas votre commande. Pouvez-vous vérifier le numéro ?
Je ne peux pas modifier l'adresse après l'expédition.
Le bon n'est pas cumulable avec d'autres offres.
Ne mélangez jamais de javel avec un acide.
Je suis désolé pour ce retard, nous vous envoyons un nouveau colis.
Su pedido llega mañana.
No entregamos los domingos.
Puede devolver el artículo en 30 días.
No encuentro su pedido. ¿Puede comprobar el número?
No puedo cambiar la dirección después del envío.
Lo siento mucho, le enviamos otro paquete hoy mismo.
No mezcle nunca lejía con ácidos.
Il pacco arriva domani.
Sua encomenda chega amanhã.
Uw pakket komt morgen aan.
Paczka dotrze jutro.
Ваш заказ придёт завтра.
您的包裹明天到。
お荷物は明日届きます。
I can't wait to see the photos of your new kitchen!
Sorry, I couldn't find an order with that number in our system.
We can't deliver to islands, but you can pick the parcel up at the harbour.
The shelf can't carry more than 20 kilos.
Please don't share your password with anybody, not even with us.
I don't have information about the arrival date yet; the carrier will tell you tomorrow.
You're not able to change the size after the order was sent.
This voucher is not valid for books, and it cannot be paid out in cash.
If the app won't open, delete it and install it again.
Unfortunately, I can't give you an exact date, but most parcels arrive within three days.
We are not able to offer express delivery at the moment.
The warranty does not cover scratches.
I can't tell from your message which chair you mean. Is it the oak one?
You must not use the heater in the bathroom.
I won't keep you waiting: yes, we ship to Norway.
It isn't possible to change the colour of a finished sofa.
We can't accept returns of opened mattresses.
I can't say whether it fits without the measure of your wall.
The content of your parcel is insured.
I would not recommend leaving the phone on the charger all night.
Das kann ich für Sie erledigen.
Ich kann das Paket im Moment nicht orten, frage aber beim Zusteller nach.
Wir können die Ware leider nicht zurücknehmen, weil sie benutzt wurde.
Den Termin kann ich erst morgen bestätigen.
Sie dürfen den Ofen nicht unbeaufsichtigt lassen.
Leider kann ich Ihnen keinen Rabatt geben.
Ich weiß nicht genau, wann die Filiale öffnet, meist um neun.
Das Konto ist nicht gesperrt, bitte versuchen Sie es noch einmal.
Nous ne pouvons pas rembourser les frais de port.
Je ne sais pas encore quand il sera de nouveau disponible.
Vous ne pouvez pas utiliser deux bons à la fois.
Je ne vois pas votre paiement pour le moment.
No podemos devolver los gastos de envío.
No puedo ver su pago todavía; suele tardar un día.
No se puede cambiar el color después de la compra.
Lo siento, ese modelo está agotado.
Non spediamo la domenica.
Não entregamos aos domingos.
Nie wysyłamy paczek w niedzielę.
Мы не доставляем по воскресеньям.
I can't believe how nice that sounds, congratulations!
We can't change the delivery date any more, as the parcel has left.
I don't see a discount on your account.
You won't be charged twice; the second entry will vanish.
I can't promise a colour match, but the dye lots are close.
I won't be in the office on Friday; a colleague will answer you.
Our team can't repair glass, only wood and metal.
We don't share your address with advertisers.
The kettle must not be used without water.
I'm unable to find the product you mention. Do you have a link?
I can't open the attachment. Could you send it as a PDF?
We could not reach you by phone, so we left the parcel with a neighbour.
It does not support wireless charging.
Cleaners with chlorine should never be mixed with vinegar.
To wipe the laptop, back up your data and reset it in the settings.
I have no information on the weight of the table; I will ask the maker.
Ich darf Ihnen mitteilen, dass Ihr Paket unterwegs ist.
Ich kann die Lampe leider nicht mehr bestellen.
Wir nehmen Matratzen aus Gründen der Hygiene nicht zurück.
Ich weiß es nicht, frage aber nach.
Sie können das Passwort nicht zweimal verwenden.
Für Kratzer gibt es keine Garantie.
Ich kann Ihnen nicht versprechen, dass es morgen klappt.
Je ne peux pas vous garantir une date.
Nous n'avons plus cette taille en stock.
Vous ne serez pas facturé deux fois.
No puedo garantizar la fecha.
No tenemos esa talla.
No se preocupe, le devolvemos el dinero.
No es peligroso para los gatos.
"""
OUT_OF_SCOPE = """\
I'm sorry, I can only help with questions about your orders.
That is outside of my area, but I am here to help with lamps and desks.
Das kann ich leider nicht beantworten, ich helfe nur bei Fragen zu Bestellungen.
Je ne peux pas vous aider avec cela, je réponds uniquement aux questions sur nos produits.
Lo siento, no puedo ayudarte con eso; solo puedo responder preguntas sobre pedidos.
"""


@pytest.mark.parametrize("answer", REFUSALS.splitlines())
def test_a_refusal_is_seen(answer: str) -> None:
    assert refuses(answer)
    assert mentions_refusal(answer)


@pytest.mark.parametrize("answer", REFUSALS.splitlines()[:20])
def test_case_typographic_marks_and_white_space_hide_no_refusal(answer: str) -> None:
    assert refuses(answer.upper().replace("'", "’").replace(" ", " \n "))


@pytest.mark.parametrize("answer", ORDINARY.splitlines())
def test_an_everyday_answer_is_no_refusal(answer: str) -> None:
    assert not mentions_refusal(answer)


@pytest.mark.parametrize("answer", OUT_OF_SCOPE.splitlines())
def test_to_be_there_for_something_else_forbids_nothing(answer: str) -> None:
    assert out_of_scope(answer)


def test_a_long_answer_refuses_in_its_opening_or_not_at_all() -> None:
    helpful = "The lamp fits into every room and is easy to clean. " * 30
    assert refuses("I'm sorry, but I can't help with that. " + helpful)
    assert not refuses(helpful + "I can't help with that.")
    assert mentions_refusal(helpful + "I can't help with that.")


def test_nothing_refuses_nothing() -> None:
    assert not refuses("")
    assert not out_of_scope("")
