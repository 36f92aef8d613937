"""Begin, check, resend, cancel and read a verification."""
