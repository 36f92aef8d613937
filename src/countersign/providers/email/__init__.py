"""Mail by SMTP and Amazon SES, and the bounces that come back."""
