-- The shared ledger. Every statement can run again: one that was cut off by a
-- crash is repeated from the first. Identifiers that are hashes (accounts,
-- campaigns, lines, creatives) are unsigned 64-bit numbers kept as signed ones.

-- One row a life of a node. batch is the number of its last batch of grants, and
-- granted_stamp the latest stamp of those; stamp is that of the record that opens
-- the life in its journal.
CREATE TABLE IF NOT EXISTS lives (
  node          INT4 NOT NULL,
  epoch         INT8 NOT NULL,
  previous      INT8 NOT NULL,
  stamp         INT8 NOT NULL,
  batch         INT8 NOT NULL DEFAULT 0,
  granted_stamp INT8 NOT NULL DEFAULT 0,
  fenced        BOOL NOT NULL DEFAULT false,
  written_off   BOOL NOT NULL DEFAULT false,
  began         TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (node, epoch)
);

-- Two lives can't go on from one: a journal that was restored from an older copy
-- is found out.
CREATE UNIQUE INDEX IF NOT EXISTS lives_previous ON lives (node, previous) WHERE previous > 0;

-- How far a life has carried its journal into this ledger.
CREATE TABLE IF NOT EXISTS cursors (
  node     INT4 NOT NULL,
  epoch    INT8 NOT NULL,
  position INT8 NOT NULL,
  records  INT8 NOT NULL,
  stamp    INT8 NOT NULL,
  moved    TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (node, epoch)
);

-- What an account is called, and the limits last written down; 0 is unlimited.
CREATE TABLE IF NOT EXISTS accounts (
  account  INT8 NOT NULL PRIMARY KEY,
  campaign INT8 NOT NULL,
  currency TEXT NOT NULL,
  name     TEXT NOT NULL,
  daily    INT8 NOT NULL,
  total    INT8 NOT NULL,
  stamp    INT8 NOT NULL
);

-- What guards the limits: granted - returned - refunded, of all lives. A grant
-- locks and moves these two rows; postings leave them alone.
CREATE TABLE IF NOT EXISTS account_totals (
  account   INT8 NOT NULL PRIMARY KEY,
  committed INT8 NOT NULL,
  stamp     INT8 NOT NULL
);

CREATE TABLE IF NOT EXISTS account_days (
  account   INT8 NOT NULL,
  day       DATE NOT NULL,
  committed INT8 NOT NULL,
  stamp     INT8 NOT NULL,
  PRIMARY KEY (account, day)
);

-- Grants that no journal has confirmed yet: a row goes when the Granted record of
-- its key is posted.
CREATE TABLE IF NOT EXISTS pending (
  node     INT4 NOT NULL,
  epoch    INT8 NOT NULL,
  shard    INT4 NOT NULL,
  seq      INT8 NOT NULL,
  account  INT8 NOT NULL,
  campaign INT8 NOT NULL,
  currency TEXT NOT NULL,
  day      DATE NOT NULL,
  amount   INT8 NOT NULL,
  daily    INT8 NOT NULL,
  total    INT8 NOT NULL,
  PRIMARY KEY (node, epoch, shard, seq)
);

-- What the posted records of a lease add up to: the fold of the journal, as its
-- node's own Book has it. Only the node's drain writes its rows.
CREATE TABLE IF NOT EXISTS leases (
  node        INT4 NOT NULL,
  epoch       INT8 NOT NULL,
  account     INT8 NOT NULL,
  day         DATE NOT NULL,
  campaign    INT8 NOT NULL,
  currency    TEXT NOT NULL,
  granted     INT8 NOT NULL,
  returned    INT8 NOT NULL,
  posted      INT8 NOT NULL,
  refunded    INT8 NOT NULL,
  written_off INT8 NOT NULL,
  PRIMARY KEY (node, epoch, account, day)
);

-- The ledger proper: append-only, each row one transfer, from the credit side to
-- the debit side of an account on one of its days. Sides: 1 funding, 2 leased,
-- 3 spent, 4 released, 5 refunded, 6 written off.
--
-- (shard, node, epoch, seq, kind, event) is the identity of what happened; part
-- tells the accounts apart that one event is billed to. dated follows from the
-- identity (the UTC day on which the win's token was issued; of grants and returns
-- the account's day), so that a repeat lands in the same partition. The key begins
-- with the shard: every shard of every node appends at an end of its own, which
-- CockroachDB can split by load and a B-tree fills without gaps.
CREATE TABLE IF NOT EXISTS postings (
  shard       INT4 NOT NULL,
  node        INT4 NOT NULL,
  epoch       INT8 NOT NULL,
  seq         INT8 NOT NULL,
  kind        INT2 NOT NULL,
  event       INT2 NOT NULL,
  part        INT2 NOT NULL,
  dated       DATE NOT NULL,
  account     INT8 NOT NULL,
  campaign    INT8 NOT NULL,
  day         DATE NOT NULL,
  lease_epoch INT8 NOT NULL,
  credit      INT2 NOT NULL,
  debit       INT2 NOT NULL,
  amount      INT8 NOT NULL CHECK (amount >= 0),
  currency    TEXT NOT NULL,
  line        INT8 NOT NULL,
  creative    INT8 NOT NULL,
  reason      INT2 NOT NULL,
  note        TEXT NOT NULL,
  stamp       INT8 NOT NULL,
  CHECK (credit <> debit),
  PRIMARY KEY (shard, node, epoch, seq, kind, event, part, dated)
)
PARTITION BY RANGE (dated) -- only: postgres
;

-- Balances and statements of an account. Accounts are hashes: its writes are
-- spread by themselves.
CREATE INDEX IF NOT EXISTS postings_account ON postings (account, day);

-- Both sides of every transfer. Whatever is selected from it by posting, account,
-- day or campaign sums to zero.
CREATE OR REPLACE VIEW entries AS
  SELECT shard, node, epoch, seq, kind, event, part, dated, account, campaign, day, lease_epoch,
    debit AS side, amount, currency, line, creative, reason, note, stamp
  FROM postings
  UNION ALL
  SELECT shard, node, epoch, seq, kind, event, part, dated, account, campaign, day, lease_epoch,
    credit AS side, -amount AS amount, currency, line, creative, reason, note, stamp
  FROM postings;
