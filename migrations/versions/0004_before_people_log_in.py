"""Logins, sessions, invitations, managers of organisations, and the audit log.

Runs before the code that needs it; what 0003's code does still works, and is audited as done by
the service, since that code does not say who asks.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LOGINS = """
CREATE TABLE login (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email            text NOT NULL,
    name             text NOT NULL DEFAULT '',
    language         text NOT NULL DEFAULT '',
    is_administrator boolean NOT NULL DEFAULT false,
    password_hash    text,
    disabled_at      timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX login_email ON login (lower(email COLLATE "C"));
CREATE TABLE session (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login_id     bigint NOT NULL REFERENCES login,
    digest       bytea NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    address      text NOT NULL DEFAULT '',
    agent        text NOT NULL DEFAULT ''
);
CREATE INDEX session_login ON session (login_id);
CREATE TABLE invitation (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login_id        bigint NOT NULL REFERENCES login,
    purpose         text NOT NULL CHECK (purpose IN ('invitation', 'reset')),
    author          text NOT NULL,
    digest          bytea UNIQUE,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    used_at         timestamptz,
    state           text NOT NULL CHECK (state IN ('shown', 'pending', 'sent', 'refused')),
    attempt_count   integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error      text NOT NULL DEFAULT '',
    sent_at         timestamptz
);
CREATE INDEX invitation_login ON invitation (login_id);
CREATE INDEX invitation_pending ON invitation (next_attempt_at) WHERE state = 'pending';
CREATE TABLE login_attempt (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at      timestamptz NOT NULL DEFAULT now(),
    kind         text NOT NULL CHECK (kind IN ('password', 'reset', 'link')),
    address      text NOT NULL,
    email_digest bytea NOT NULL,
    succeeded    boolean NOT NULL DEFAULT false
);
CREATE INDEX login_attempt_address ON login_attempt (address, made_at);
CREATE INDEX login_attempt_email ON login_attempt (email_digest, made_at);
CREATE INDEX login_attempt_made_at ON login_attempt (made_at);
CREATE TABLE manager (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organisation_id bigint NOT NULL REFERENCES organisation,
    email           text NOT NULL,
    name            text NOT NULL DEFAULT '',
    author          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX manager_of ON manager (organisation_id, lower(email COLLATE "C"));
CREATE INDEX manager_email ON manager (lower(email COLLATE "C"));
"""

# Who asks is what the transaction says in os_credits.actor: a JSON object of name, via, login_id.
# What nobody asked for is the service's own doing.
AUDIT = """
CREATE TABLE audit (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at         timestamptz NOT NULL DEFAULT now(),
    actor           text NOT NULL,
    via             text NOT NULL CHECK (via IN ('page', 'api', 'command', 'service')),
    login_id        bigint REFERENCES login,
    subject         text NOT NULL,
    action          text NOT NULL CHECK (action IN ('insert', 'update', 'delete')),
    project_id      bigint,
    organisation_id bigint,
    details         jsonb NOT NULL
);
CREATE INDEX audit_project ON audit (project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX audit_subject ON audit (subject, id);
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    actor   jsonb := coalesce(nullif(current_setting('os_credits.actor', true), ''), '{}')::jsonb;
    secrets text[] := ARRAY['password_hash', 'digest', 'idempotency_key'];
    was     jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE to_jsonb(OLD) END;
    is_now  jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE to_jsonb(NEW) END;
    known    jsonb := was || is_now;
    details jsonb;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT jsonb_object_agg(
                   n.key, CASE WHEN n.key = ANY (secrets || 'email'::text) THEN '["", ""]'::jsonb
                               ELSE jsonb_build_array(was -> n.key, n.value) END)
        INTO details FROM jsonb_each(is_now) n WHERE n.value IS DISTINCT FROM was -> n.key;
        IF details IS NULL THEN
            RETURN NULL;
        END IF;
        details := jsonb_build_object('changed', details)
                   || jsonb_strip_nulls(
                          jsonb_build_object('id', known -> 'id', 'email', known -> 'email'));
    ELSE
        details := known - secrets;
    END IF;
    INSERT INTO audit (actor, via, login_id, subject, action, project_id, organisation_id, details)
    VALUES (coalesce(actor ->> 'name', 'os_credits'), coalesce(actor ->> 'via', 'service'),
            nullif((actor ->> 'login_id')::bigint, 0), TG_TABLE_NAME, lower(TG_OP),
            coalesce((known ->> 'project_id')::bigint, (known ->> 'from_project_id')::bigint),
            (known ->> 'organisation_id')::bigint, details);
    RETURN NULL;
END $$;
CREATE FUNCTION forget_in_audit(address text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    forgotten bigint;
    known     bigint := (SELECT id FROM login
                         WHERE lower(email COLLATE "C") = lower(address COLLATE "C"));
BEGIN
    UPDATE audit SET
        actor = CASE WHEN lower(actor COLLATE "C") = lower(address COLLATE "C") THEN '(erased)'
                     WHEN login_id = known THEN 'login ' || known
                     ELSE actor END,
        details = CASE WHEN lower((details ->> 'email') COLLATE "C") = lower(address COLLATE "C")
                       THEN (details - 'name' - 'changed') || '{"email": "(erased)"}'
                       ELSE details END
    WHERE lower(actor COLLATE "C") = lower(address COLLATE "C") OR login_id = known
       OR lower((details ->> 'email') COLLATE "C") = lower(address COLLATE "C");
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;
"""
# What people decide. Months that an allowance gives are no decisions, nor is what only follows.
INSERTED = (
    "allowance",
    "allowance_end",
    "budget",
    "budget_void",
    "closing",
    "exclusion",
    "exclusion_lift",
    "grant_void",
    "membership",
    "meter_version",
    "organisation",
    "organisation_place",
    "price",
    "settlement",
    "threshold_rule",
    "transfer",
    "whitelist",
)
CHANGED = ("api_key", "login", "manager", "project_owner")


def upgrade() -> None:
    """Create the tables, and let the database note every decision that is made from now on."""
    for statements in (LOGINS, AUDIT):
        op.execute(statements)
    for table in INSERTED:
        op.execute(
            f"CREATE TRIGGER {table}_is_audited AFTER INSERT ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION note_change()"
        )
    op.execute(
        "CREATE TRIGGER project_grant_is_audited AFTER INSERT ON project_grant"
        " FOR EACH ROW WHEN (NEW.allowance_id IS NULL) EXECUTE FUNCTION note_change()"
    )
    for table in CHANGED:
        op.execute(
            f"CREATE TRIGGER {table}_is_audited AFTER INSERT OR DELETE OR UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION note_change()"
        )


def downgrade() -> None:
    """Refuse: going back would forget who may log in, and who changed what."""
    message = "who changed what is never removed; restore a backup instead"
    raise RuntimeError(message)
