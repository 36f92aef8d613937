"""Sign up, sign in, step up and recover."""
