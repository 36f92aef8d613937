CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE challenges (
    id TEXT NOT NULL,
    application TEXT NOT NULL,
    twin BLOB NOT NULL,
    standing BLOB NOT NULL,
    terms BLOB NOT NULL,
    begun_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    channel TEXT NOT NULL,
    guesses INTEGER NOT NULL,
    sends INTEGER NOT NULL,
    round INTEGER NOT NULL,
    sent_at INTEGER NOT NULL,
    ended_at INTEGER,
    CONSTRAINT challenges_pkey PRIMARY KEY (id)
)
 STRICT;

CREATE UNIQUE INDEX challenges_twin ON challenges (twin) WHERE state = 'pending';

CREATE INDEX challenges_expires_at ON challenges (expires_at) WHERE ended_at IS NULL;

CREATE TABLE deliveries (
    owner TEXT NOT NULL,
    number INTEGER NOT NULL,
    channel TEXT NOT NULL,
    route TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    round INTEGER NOT NULL,
    state TEXT NOT NULL,
    leg INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    reason TEXT,
    changed_at INTEGER NOT NULL,
    CONSTRAINT deliveries_pkey PRIMARY KEY (owner, number)
)
 STRICT;

CREATE INDEX deliveries_due_at ON deliveries (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE attempts (
    owner TEXT NOT NULL,
    number INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    provider TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT NOT NULL,
    reason TEXT,
    provider_message_id TEXT NOT NULL,
    CONSTRAINT attempts_pkey PRIMARY KEY (owner, number, attempt)
)
 STRICT;

CREATE INDEX attempts_provider_provider_message_id ON attempts (provider, provider_message_id) WHERE provider_message_id <> '';

CREATE TABLE limits (
    "key" BLOB NOT NULL,
    tat INTEGER NOT NULL,
    CONSTRAINT limits_pkey PRIMARY KEY ("key")
)
 WITHOUT ROWID,
 STRICT;

CREATE TABLE standings (
    "key" BLOB NOT NULL,
    in_a_row INTEGER NOT NULL,
    day_began_at INTEGER NOT NULL,
    in_day INTEGER NOT NULL,
    CONSTRAINT standings_pkey PRIMARY KEY ("key")
)
 WITHOUT ROWID,
 STRICT;

CREATE TABLE answers (
    application TEXT NOT NULL,
    "key" BLOB NOT NULL,
    request BLOB NOT NULL,
    outcome BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    CONSTRAINT answers_pkey PRIMARY KEY (application, "key")
)
 STRICT;

CREATE INDEX answers_expires_at ON answers (expires_at);

CREATE TABLE events (
    writer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    page TEXT NOT NULL,
    hash BLOB NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (writer, seq)
)
 STRICT;

CREATE INDEX events_at ON events (at);

CREATE TABLE writers (
    writer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    mac BLOB NOT NULL,
    CONSTRAINT writers_pkey PRIMARY KEY (writer)
)
 STRICT;

CREATE TABLE checkpoints (
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    signed TEXT NOT NULL,
    CONSTRAINT checkpoints_pkey PRIMARY KEY (number)
)
 STRICT;

CREATE TABLE applications (
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    name TEXT NOT NULL,
    mode TEXT NOT NULL,
    site TEXT NOT NULL,
    host TEXT NOT NULL,
    purposes TEXT NOT NULL,
    key_hash BLOB NOT NULL,
    old_key_hash BLOB,
    old_until INTEGER,
    removed_at INTEGER,
    CONSTRAINT applications_pkey PRIMARY KEY (id)
)
 STRICT;

CREATE UNIQUE INDEX applications_name ON applications (name) WHERE removed_at IS NULL;

CREATE UNIQUE INDEX applications_key_hash ON applications (key_hash);

CREATE UNIQUE INDEX applications_old_key_hash ON applications (old_key_hash) WHERE old_key_hash IS NOT NULL;

CREATE TABLE facts (
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    CONSTRAINT facts_pkey PRIMARY KEY (name)
)
 STRICT;

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING version_num;

-- Running upgrade 0001 -> 0002

CREATE TABLE accounts (
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    name BLOB NOT NULL,
    locale TEXT NOT NULL,
    password BLOB NOT NULL,
    password_at INTEGER NOT NULL,
    disabled_at INTEGER,
    CONSTRAINT accounts_pkey PRIMARY KEY (id)
)
 STRICT;

CREATE TABLE contacts (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    blind BLOB NOT NULL,
    address BLOB NOT NULL,
    masked TEXT NOT NULL,
    proved_at INTEGER,
    is_primary INTEGER NOT NULL,
    CONSTRAINT contacts_pkey PRIMARY KEY (account, id)
)
 STRICT;

CREATE INDEX contacts_blind ON contacts (blind);

CREATE TABLE identifiers (
    blind BLOB NOT NULL,
    account TEXT NOT NULL,
    contact TEXT NOT NULL,
    CONSTRAINT identifiers_pkey PRIMARY KEY (blind)
)
 STRICT;

CREATE TABLE devices (
    account TEXT NOT NULL,
    mark BLOB NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    user_agent TEXT NOT NULL,
    last_seen_at INTEGER NOT NULL,
    ip TEXT NOT NULL,
    place TEXT NOT NULL,
    trusted_at INTEGER,
    ended_at INTEGER,
    CONSTRAINT devices_pkey PRIMARY KEY (account, mark)
)
 STRICT;

CREATE INDEX devices_last_seen_at ON devices (last_seen_at);

CREATE TABLE sessions (
    mark BLOB NOT NULL,
    id TEXT NOT NULL,
    account TEXT NOT NULL,
    device BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    user_agent TEXT NOT NULL,
    ip TEXT NOT NULL,
    place TEXT NOT NULL,
    proofs TEXT NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (mark)
)
 STRICT;

CREATE INDEX sessions_account ON sessions (account);

CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE visits (
    mark BLOB NOT NULL,
    data BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    CONSTRAINT visits_pkey PRIMARY KEY (mark)
)
 STRICT;

CREATE INDEX visits_expires_at ON visits (expires_at);

CREATE TABLE notices (
    id TEXT NOT NULL,
    account TEXT NOT NULL,
    application TEXT NOT NULL,
    kind TEXT NOT NULL,
    recipient BLOB NOT NULL,
    recipient_kind TEXT NOT NULL,
    masked TEXT NOT NULL,
    locale TEXT NOT NULL,
    facts TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CONSTRAINT notices_pkey PRIMARY KEY (id)
)
 STRICT;

ALTER TABLE applications ADD COLUMN redirects TEXT DEFAULT '[]' NOT NULL;

ALTER TABLE applications ADD COLUMN sign_outs TEXT DEFAULT '[]' NOT NULL;

CREATE TABLE grants (
    "key" BLOB NOT NULL,
    data BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    CONSTRAINT grants_pkey PRIMARY KEY ("key")
)
 STRICT;

CREATE INDEX grants_expires_at ON grants (expires_at);

CREATE TABLE tokens (
    "key" BLOB NOT NULL,
    grant_key BLOB NOT NULL,
    application TEXT NOT NULL,
    account TEXT NOT NULL,
    session TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    CONSTRAINT tokens_pkey PRIMARY KEY ("key")
)
 STRICT;

CREATE INDEX tokens_grant_key ON tokens (grant_key);

CREATE INDEX tokens_expires_at ON tokens (expires_at);

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

ALTER TABLE accounts ADD COLUMN locked_at INTEGER;

ALTER TABLE accounts ADD COLUMN reduced_until INTEGER DEFAULT '0' NOT NULL;

ALTER TABLE accounts ADD COLUMN recovered_by TEXT DEFAULT '' NOT NULL;

ALTER TABLE accounts ADD COLUMN checked_at INTEGER DEFAULT '0' NOT NULL;

ALTER TABLE contacts ADD COLUMN settled_at INTEGER DEFAULT '0' NOT NULL;

ALTER TABLE contacts ADD COLUMN ended_at INTEGER;

CREATE INDEX contacts_ended_at ON contacts (ended_at);

CREATE TABLE changes (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    session TEXT NOT NULL,
    blind BLOB NOT NULL,
    about TEXT NOT NULL,
    data BLOB NOT NULL,
    user_agent TEXT NOT NULL,
    place TEXT NOT NULL,
    state TEXT NOT NULL,
    until INTEGER NOT NULL,
    applied_at INTEGER,
    ended_at INTEGER,
    remind_at INTEGER,
    effect TEXT NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (account, id)
)
 STRICT;

CREATE INDEX changes_blind ON changes (blind);

CREATE INDEX changes_asked_at ON changes (asked_at);

CREATE INDEX changes_remind_at ON changes (remind_at);

CREATE TABLE factors (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    mark BLOB NOT NULL,
    secret BLOB NOT NULL,
    name BLOB NOT NULL,
    used INTEGER NOT NULL,
    last_used_at INTEGER,
    ended_at INTEGER,
    CONSTRAINT factors_pkey PRIMARY KEY (account, id)
)
 STRICT;

CREATE INDEX factors_mark ON factors (mark);

CREATE INDEX factors_ended_at ON factors (ended_at);

CREATE TABLE credentials (
    "key" BLOB NOT NULL,
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    name BLOB NOT NULL,
    scopes TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used_at INTEGER,
    last_used_from TEXT NOT NULL,
    ended_at INTEGER,
    CONSTRAINT credentials_pkey PRIMARY KEY ("key")
)
 STRICT;

CREATE INDEX credentials_account ON credentials (account);

CREATE INDEX credentials_expires_at ON credentials (expires_at);

CREATE TABLE activity (
    account TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    facts TEXT NOT NULL,
    CONSTRAINT activity_pkey PRIMARY KEY (account, id)
)
 STRICT;

CREATE INDEX activity_at ON activity (at);

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

ALTER TABLE deliveries ADD COLUMN country TEXT DEFAULT '' NOT NULL;

ALTER TABLE deliveries ADD COLUMN prefix TEXT DEFAULT '' NOT NULL;

ALTER TABLE deliveries ADD COLUMN settled_at INTEGER;

UPDATE deliveries SET settled_at = changed_at;

CREATE INDEX deliveries_created_at ON deliveries (created_at) WHERE settled_at IS NULL;

CREATE TABLE paces (
    provider TEXT NOT NULL,
    channel TEXT NOT NULL,
    country TEXT NOT NULL,
    figures TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    CONSTRAINT paces_pkey PRIMARY KEY (provider, channel, country)
)
 STRICT;

CREATE TABLE breakers (
    provider TEXT NOT NULL,
    failures INTEGER NOT NULL,
    trips INTEGER NOT NULL,
    until INTEGER,
    probing INTEGER NOT NULL,
    reason TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    CONSTRAINT breakers_pkey PRIMARY KEY (provider)
)
 STRICT;

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

ALTER TABLE applications ADD COLUMN app_hash TEXT DEFAULT '' NOT NULL;

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

CREATE TABLE suppressions (
    "key" BLOB NOT NULL,
    masked TEXT NOT NULL,
    reason TEXT NOT NULL,
    provider TEXT NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    lifted_at INTEGER,
    CONSTRAINT suppressions_pkey PRIMARY KEY ("key")
)
 STRICT;

CREATE INDEX suppressions_until ON suppressions (until);

UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

CREATE TABLE traffic (
    application TEXT NOT NULL,
    place TEXT NOT NULL,
    at INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    converted INTEGER NOT NULL,
    CONSTRAINT traffic_pkey PRIMARY KEY (application, place, at)
)
 STRICT;

CREATE INDEX traffic_at ON traffic (at);

CREATE TABLE blocks (
    application TEXT NOT NULL,
    place TEXT NOT NULL,
    since INTEGER NOT NULL,
    scope TEXT NOT NULL,
    prefix TEXT NOT NULL,
    country TEXT NOT NULL,
    rule TEXT NOT NULL,
    figures TEXT NOT NULL,
    times INTEGER NOT NULL,
    shadow INTEGER NOT NULL,
    until INTEGER NOT NULL,
    lifted_at INTEGER,
    CONSTRAINT blocks_pkey PRIMARY KEY (application, place, since)
)
 STRICT;

UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';
