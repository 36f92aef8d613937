"""What people are told: mail, SMS, calls and hints, in their language."""
