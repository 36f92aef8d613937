"""How a message is written for mail, SMS, voice and WhatsApp."""
