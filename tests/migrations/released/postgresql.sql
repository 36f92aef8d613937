CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE challenges (
    id TEXT COLLATE "C" NOT NULL,
    application TEXT COLLATE "C" NOT NULL,
    twin BYTEA NOT NULL,
    standing BYTEA NOT NULL,
    terms BYTEA NOT NULL,
    begun_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    guesses BIGINT NOT NULL,
    sends BIGINT NOT NULL,
    round BIGINT NOT NULL,
    sent_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT challenges_pkey PRIMARY KEY (id)
)
 WITH (fillfactor = 85);

CREATE UNIQUE INDEX challenges_twin ON challenges (twin) WHERE state = 'pending';

CREATE INDEX challenges_expires_at ON challenges (expires_at) WHERE ended_at IS NULL;

CREATE TABLE deliveries (
    owner TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    route TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    round BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    leg BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT,
    reason TEXT COLLATE "C",
    changed_at BIGINT NOT NULL,
    CONSTRAINT deliveries_pkey PRIMARY KEY (owner, number)
)
 WITH (fillfactor = 85);

CREATE INDEX deliveries_due_at ON deliveries (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE attempts (
    owner TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    outcome TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C",
    provider_message_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT attempts_pkey PRIMARY KEY (owner, number, attempt)
);

CREATE INDEX attempts_provider_provider_message_id ON attempts (provider, provider_message_id) WHERE provider_message_id <> '';

CREATE TABLE limits (
    key BYTEA NOT NULL,
    tat BIGINT NOT NULL,
    CONSTRAINT limits_pkey PRIMARY KEY (key)
)
 WITH (fillfactor = 85);

CREATE TABLE standings (
    key BYTEA NOT NULL,
    in_a_row BIGINT NOT NULL,
    day_began_at BIGINT NOT NULL,
    in_day BIGINT NOT NULL,
    CONSTRAINT standings_pkey PRIMARY KEY (key)
)
 WITH (fillfactor = 85);

CREATE TABLE answers (
    application TEXT COLLATE "C" NOT NULL,
    key BYTEA NOT NULL,
    request BYTEA NOT NULL,
    outcome BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT answers_pkey PRIMARY KEY (application, key)
);

CREATE INDEX answers_expires_at ON answers (expires_at);

CREATE TABLE events (
    writer TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    count BIGINT NOT NULL,
    page TEXT COLLATE "C" NOT NULL,
    hash BYTEA NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (writer, seq)
);

CREATE INDEX events_at ON events (at);

CREATE TABLE writers (
    writer TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    mac BYTEA NOT NULL,
    CONSTRAINT writers_pkey PRIMARY KEY (writer)
)
 WITH (fillfactor = 85);

CREATE TABLE checkpoints (
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    signed TEXT COLLATE "C" NOT NULL,
    CONSTRAINT checkpoints_pkey PRIMARY KEY (number)
);

CREATE TABLE applications (
    id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    mode TEXT COLLATE "C" NOT NULL,
    site TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    purposes TEXT COLLATE "C" NOT NULL,
    key_hash BYTEA NOT NULL,
    old_key_hash BYTEA,
    old_until BIGINT,
    removed_at BIGINT,
    CONSTRAINT applications_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX applications_name ON applications (name) WHERE removed_at IS NULL;

CREATE UNIQUE INDEX applications_key_hash ON applications (key_hash);

CREATE UNIQUE INDEX applications_old_key_hash ON applications (old_key_hash) WHERE old_key_hash IS NOT NULL;

CREATE TABLE facts (
    name TEXT COLLATE "C" NOT NULL,
    value BYTEA NOT NULL,
    CONSTRAINT facts_pkey PRIMARY KEY (name)
);

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;

-- Running upgrade 0001 -> 0002

CREATE TABLE accounts (
    id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    name BYTEA NOT NULL,
    locale TEXT COLLATE "C" NOT NULL,
    password BYTEA NOT NULL,
    password_at BIGINT NOT NULL,
    disabled_at BIGINT,
    CONSTRAINT accounts_pkey PRIMARY KEY (id)
);

CREATE TABLE contacts (
    account TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    added_at BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    blind BYTEA NOT NULL,
    address BYTEA NOT NULL,
    masked TEXT COLLATE "C" NOT NULL,
    proved_at BIGINT,
    is_primary BIGINT NOT NULL,
    CONSTRAINT contacts_pkey PRIMARY KEY (account, id)
);

CREATE INDEX contacts_blind ON contacts (blind);

CREATE TABLE identifiers (
    blind BYTEA NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    contact TEXT COLLATE "C" NOT NULL,
    CONSTRAINT identifiers_pkey PRIMARY KEY (blind)
);

CREATE TABLE devices (
    account TEXT COLLATE "C" NOT NULL,
    mark BYTEA NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL,
    last_seen_at BIGINT NOT NULL,
    ip TEXT COLLATE "C" NOT NULL,
    place TEXT COLLATE "C" NOT NULL,
    trusted_at BIGINT,
    ended_at BIGINT,
    CONSTRAINT devices_pkey PRIMARY KEY (account, mark)
);

CREATE INDEX devices_last_seen_at ON devices (last_seen_at);

CREATE TABLE sessions (
    mark BYTEA NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    device BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL,
    ip TEXT COLLATE "C" NOT NULL,
    place TEXT COLLATE "C" NOT NULL,
    proofs TEXT COLLATE "C" NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (mark)
)
 WITH (fillfactor = 85);

CREATE INDEX sessions_account ON sessions (account);

CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE visits (
    mark BYTEA NOT NULL,
    data BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT visits_pkey PRIMARY KEY (mark)
);

CREATE INDEX visits_expires_at ON visits (expires_at);

CREATE TABLE notices (
    id TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    application TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    recipient BYTEA NOT NULL,
    recipient_kind TEXT COLLATE "C" NOT NULL,
    masked TEXT COLLATE "C" NOT NULL,
    locale TEXT COLLATE "C" NOT NULL,
    facts TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT notices_pkey PRIMARY KEY (id)
);

ALTER TABLE applications ADD COLUMN redirects TEXT COLLATE "C" DEFAULT '[]' NOT NULL;

ALTER TABLE applications ADD COLUMN sign_outs TEXT COLLATE "C" DEFAULT '[]' NOT NULL;

CREATE TABLE grants (
    key BYTEA NOT NULL,
    data BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    CONSTRAINT grants_pkey PRIMARY KEY (key)
);

CREATE INDEX grants_expires_at ON grants (expires_at);

CREATE TABLE tokens (
    key BYTEA NOT NULL,
    grant_key BYTEA NOT NULL,
    application TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    session TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT tokens_pkey PRIMARY KEY (key)
);

CREATE INDEX tokens_grant_key ON tokens (grant_key);

CREATE INDEX tokens_expires_at ON tokens (expires_at);

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

ALTER TABLE accounts ADD COLUMN locked_at BIGINT;

ALTER TABLE accounts ADD COLUMN reduced_until BIGINT DEFAULT '0' NOT NULL;

ALTER TABLE accounts ADD COLUMN recovered_by TEXT COLLATE "C" DEFAULT '' NOT NULL;

ALTER TABLE accounts ADD COLUMN checked_at BIGINT DEFAULT '0' NOT NULL;

ALTER TABLE contacts ADD COLUMN settled_at BIGINT DEFAULT '0' NOT NULL;

ALTER TABLE contacts ADD COLUMN ended_at BIGINT;

CREATE INDEX contacts_ended_at ON contacts (ended_at);

CREATE TABLE changes (
    account TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    asked_at BIGINT NOT NULL,
    session TEXT COLLATE "C" NOT NULL,
    blind BYTEA NOT NULL,
    about TEXT COLLATE "C" NOT NULL,
    data BYTEA NOT NULL,
    user_agent TEXT COLLATE "C" NOT NULL,
    place TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL,
    applied_at BIGINT,
    ended_at BIGINT,
    remind_at BIGINT,
    effect TEXT COLLATE "C" NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (account, id)
);

CREATE INDEX changes_blind ON changes (blind);

CREATE INDEX changes_asked_at ON changes (asked_at);

CREATE INDEX changes_remind_at ON changes (remind_at);

CREATE TABLE factors (
    account TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    added_at BIGINT NOT NULL,
    mark BYTEA NOT NULL,
    secret BYTEA NOT NULL,
    name BYTEA NOT NULL,
    used BIGINT NOT NULL,
    last_used_at BIGINT,
    ended_at BIGINT,
    CONSTRAINT factors_pkey PRIMARY KEY (account, id)
);

CREATE INDEX factors_mark ON factors (mark);

CREATE INDEX factors_ended_at ON factors (ended_at);

CREATE TABLE credentials (
    key BYTEA NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    name BYTEA NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    last_used_at BIGINT,
    last_used_from TEXT COLLATE "C" NOT NULL,
    ended_at BIGINT,
    CONSTRAINT credentials_pkey PRIMARY KEY (key)
);

CREATE INDEX credentials_account ON credentials (account);

CREATE INDEX credentials_expires_at ON credentials (expires_at);

CREATE TABLE activity (
    account TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    facts TEXT COLLATE "C" NOT NULL,
    CONSTRAINT activity_pkey PRIMARY KEY (account, id)
);

CREATE INDEX activity_at ON activity (at);

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

ALTER TABLE deliveries ADD COLUMN country TEXT COLLATE "C" DEFAULT '' NOT NULL;

ALTER TABLE deliveries ADD COLUMN prefix TEXT COLLATE "C" DEFAULT '' NOT NULL;

ALTER TABLE deliveries ADD COLUMN settled_at BIGINT;

UPDATE deliveries SET settled_at = changed_at;

CREATE INDEX deliveries_created_at ON deliveries (created_at) WHERE settled_at IS NULL;

CREATE TABLE paces (
    provider TEXT COLLATE "C" NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    country TEXT COLLATE "C" NOT NULL,
    figures TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL,
    CONSTRAINT paces_pkey PRIMARY KEY (provider, channel, country)
);

CREATE TABLE breakers (
    provider TEXT COLLATE "C" NOT NULL,
    failures BIGINT NOT NULL,
    trips BIGINT NOT NULL,
    until BIGINT,
    probing BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL,
    CONSTRAINT breakers_pkey PRIMARY KEY (provider)
);

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

ALTER TABLE applications ADD COLUMN app_hash TEXT COLLATE "C" DEFAULT '' NOT NULL;

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

CREATE TABLE suppressions (
    key BYTEA NOT NULL,
    masked TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    provider TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    until BIGINT NOT NULL,
    lifted_at BIGINT,
    CONSTRAINT suppressions_pkey PRIMARY KEY (key)
);

CREATE INDEX suppressions_until ON suppressions (until);

UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

CREATE TABLE traffic (
    application TEXT COLLATE "C" NOT NULL,
    place TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    converted BIGINT NOT NULL,
    CONSTRAINT traffic_pkey PRIMARY KEY (application, place, at)
);

CREATE INDEX traffic_at ON traffic (at);

CREATE TABLE blocks (
    application TEXT COLLATE "C" NOT NULL,
    place TEXT COLLATE "C" NOT NULL,
    since BIGINT NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    prefix TEXT COLLATE "C" NOT NULL,
    country TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    figures TEXT COLLATE "C" NOT NULL,
    times BIGINT NOT NULL,
    shadow BIGINT NOT NULL,
    until BIGINT NOT NULL,
    lifted_at BIGINT,
    CONSTRAINT blocks_pkey PRIMARY KEY (application, place, since)
);

UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';
