"""What the account flows share: context, sessions, login flows, notices and the activity log."""
