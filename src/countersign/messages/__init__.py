"""Messages to people: mail, SMS, calls, WhatsApp and hints, in their language."""
