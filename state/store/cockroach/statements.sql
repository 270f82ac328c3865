-- Every statement of the package but the migrations, by name. Both dialects take
-- all of them, but those marked "only"; tools/cockroach parses the rest with
-- CockroachDB's grammar. Days travel as days since 1970.

-- name: version
SELECT version();

-- name: last_epoch
SELECT COALESCE(max(epoch), 0)::INT8 FROM lives WHERE node = $1;

-- name: life
SELECT previous, stamp, batch, granted_stamp, fenced FROM lives WHERE node = $1 AND epoch = $2 FOR UPDATE;

-- name: lives_in_the_way
SELECT epoch, previous FROM lives
WHERE node = $1 AND epoch <> $2 AND (epoch > $2 OR ($3::INT8 > 0 AND previous = $3::INT8))
ORDER BY epoch DESC;

-- name: begin_life
INSERT INTO lives (node, epoch, previous, stamp) VALUES ($1, $2, $3, $4);

-- name: fence_earlier
UPDATE lives SET fenced = true WHERE node = $1 AND epoch < $2 AND NOT fenced;

-- name: drained
SELECT COALESCE(max(position), 0)::INT8 FROM cursors WHERE node = $1 AND epoch IN ($2, $3);

-- name: node_stamp
SELECT GREATEST(
  (SELECT COALESCE(max(stamp), 0) FROM cursors WHERE node = $1),
  (SELECT COALESCE(max(granted_stamp), 0) FROM lives WHERE node = $1),
  (SELECT COALESCE(max(stamp), 0) FROM lives WHERE node = $1))::INT8;

-- name: renew
SELECT fenced FROM lives WHERE node = $1 AND epoch = $2;

-- name: prior_grants
SELECT u.i, p.amount, p.stamp
FROM unnest($2::INT8[], $3::INT4[], $4::INT8[], $5::INT4[], $6::INT4[]) AS u (epoch, shard, seq, day, i)
JOIN postings AS p ON p.shard = u.shard AND p.node = $1 AND p.epoch = u.epoch AND p.seq = u.seq
  AND p.kind = 3 AND p.event = 0 AND p.part = 0 AND p.dated = DATE '1970-01-01' + u.day;

-- name: lock_totals
SELECT account, committed, stamp FROM account_totals
WHERE account = ANY ($1::INT8[])
ORDER BY account FOR UPDATE;

-- name: lock_days
SELECT account, (day - DATE '1970-01-01')::INT4, committed, stamp FROM account_days
WHERE (account, day) IN (SELECT u.account, DATE '1970-01-01' + u.day FROM unnest($1::INT8[], $2::INT4[]) AS u (account, day))
ORDER BY account, day FOR UPDATE;

-- name: move_life
UPDATE lives SET batch = $3, granted_stamp = GREATEST(granted_stamp, $4) WHERE node = $1 AND epoch = $2;

-- name: add_totals
INSERT INTO account_totals AS t (account, committed, stamp)
SELECT u.account, u.amount, u.stamp FROM unnest($1::INT8[], $2::INT8[], $3::INT8[]) AS u (account, amount, stamp)
ON CONFLICT (account) DO UPDATE SET committed = t.committed + excluded.committed, stamp = GREATEST(t.stamp, excluded.stamp)
RETURNING t.account, t.committed;

-- name: add_days
INSERT INTO account_days AS t (account, day, committed, stamp)
SELECT u.account, DATE '1970-01-01' + u.day, u.amount, u.stamp
FROM unnest($1::INT8[], $2::INT4[], $3::INT8[], $4::INT8[]) AS u (account, day, amount, stamp)
ON CONFLICT (account, day) DO UPDATE SET committed = t.committed + excluded.committed, stamp = GREATEST(t.stamp, excluded.stamp)
RETURNING t.account, (t.day - DATE '1970-01-01')::INT4, t.committed;

-- name: insert_pending
INSERT INTO pending (node, epoch, shard, seq, account, campaign, currency, day, amount, daily, total)
SELECT $1, u.epoch, u.shard, u.seq, u.account, u.campaign, u.currency, DATE '1970-01-01' + u.day, u.amount, u.daily, u.total
FROM unnest($2::INT8[], $3::INT4[], $4::INT8[], $5::INT8[], $6::INT8[], $7::TEXT[], $8::INT4[], $9::INT8[], $10::INT8[], $11::INT8[])
  AS u (epoch, shard, seq, account, campaign, currency, day, amount, daily, total)
ON CONFLICT DO NOTHING;

-- name: confirm
DELETE FROM pending
WHERE node = $1 AND (epoch, shard, seq) IN (SELECT u.epoch, u.shard, u.seq FROM unnest($2::INT8[], $3::INT4[], $4::INT8[]) AS u (epoch, shard, seq))
RETURNING epoch, shard, seq, account, campaign, currency, (day - DATE '1970-01-01')::INT4, amount;

-- name: orphans
SELECT epoch, shard, seq, account, campaign, currency, (day - DATE '1970-01-01')::INT4, amount, daily, total FROM pending
WHERE node = $1 AND epoch < $2
ORDER BY epoch, shard, seq;

-- What is new is told in sums: the rest of the transaction follows from them.
-- name: insert_postings
WITH added AS (
  INSERT INTO postings (node, shard, epoch, seq, kind, event, part, dated, account, campaign, day, lease_epoch,
    credit, debit, amount, currency, line, creative, reason, note, stamp)
  SELECT $1, u.shard, u.epoch, u.seq, u.kind, u.event, u.part, DATE '1970-01-01' + u.dated, u.account, u.campaign,
    DATE '1970-01-01' + u.day, u.lease_epoch, u.credit, u.debit, u.amount, u.currency, u.line, u.creative, u.reason, u.note, u.stamp
  FROM unnest($2::INT4[], $3::INT8[], $4::INT8[], $5::INT2[], $6::INT2[], $7::INT2[], $8::INT4[], $9::INT8[], $10::INT8[],
    $11::INT4[], $12::INT8[], $13::INT2[], $14::INT2[], $15::INT8[], $16::TEXT[], $17::INT8[], $18::INT8[], $19::INT2[], $20::TEXT[], $21::INT8[])
    AS u (shard, epoch, seq, kind, event, part, dated, account, campaign, day, lease_epoch, credit, debit, amount, currency,
      line, creative, reason, note, stamp)
  ON CONFLICT DO NOTHING
  RETURNING kind, lease_epoch, account, campaign, currency, day, amount
)
SELECT kind, lease_epoch, account, max(campaign), max(currency), (day - DATE '1970-01-01')::INT4, count(*), sum(amount)::INT8
FROM added GROUP BY kind, lease_epoch, account, day;

-- name: move_cursor
INSERT INTO cursors AS c (node, epoch, position, records, stamp, moved) VALUES ($1, $2, $3, $4, $5, now())
ON CONFLICT (node, epoch) DO UPDATE SET position = GREATEST(c.position, excluded.position), records = c.records + excluded.records,
  stamp = GREATEST(c.stamp, excluded.stamp), moved = excluded.moved;

-- name: add_leases
INSERT INTO leases AS l (node, epoch, account, day, campaign, currency, granted, returned, posted, refunded, written_off)
SELECT $1, u.epoch, u.account, DATE '1970-01-01' + u.day, u.campaign, u.currency, u.granted, u.returned, u.posted, u.refunded, 0
FROM unnest($2::INT8[], $3::INT8[], $4::INT4[], $5::INT8[], $6::TEXT[], $7::INT8[], $8::INT8[], $9::INT8[], $10::INT8[])
  AS u (epoch, account, day, campaign, currency, granted, returned, posted, refunded)
ON CONFLICT (node, epoch, account, day) DO UPDATE SET granted = l.granted + excluded.granted, returned = l.returned + excluded.returned,
  posted = l.posted + excluded.posted, refunded = l.refunded + excluded.refunded
RETURNING l.epoch, l.account, (l.day - DATE '1970-01-01')::INT4, l.campaign, l.currency,
  l.granted - l.returned - l.posted - l.written_off, l.written_off;

-- name: name_accounts
INSERT INTO accounts AS a (account, campaign, currency, name, daily, total, stamp)
SELECT u.account, u.campaign, u.currency, u.name, u.daily, u.total, u.stamp
FROM unnest($1::INT8[], $2::INT8[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $7::INT8[])
  AS u (account, campaign, currency, name, daily, total, stamp)
ON CONFLICT (account) DO UPDATE SET currency = excluded.currency, name = excluded.name, daily = excluded.daily,
  total = excluded.total, stamp = excluded.stamp
WHERE a.stamp < excluded.stamp
  AND (a.currency, a.name, a.daily, a.total) IS DISTINCT FROM (excluded.currency, excluded.name, excluded.daily, excluded.total);

-- name: committed_totals
SELECT account, committed FROM account_totals WHERE account = ANY ($1::INT8[]);

-- name: committed_days
SELECT account, (day - DATE '1970-01-01')::INT4, committed FROM account_days
WHERE (account, day) IN (SELECT u.account, DATE '1970-01-01' + u.day FROM unnest($1::INT8[], $2::INT4[]) AS u (account, day));

-- name: node_sums
SELECT account, campaign, (day - DATE '1970-01-01')::INT4, sum(granted)::INT8, sum(returned)::INT8, sum(posted)::INT8, sum(refunded)::INT8
FROM (
  SELECT account, campaign, day, granted, returned, posted, refunded FROM leases WHERE node = $1
  UNION ALL
  SELECT account, campaign, day, amount, 0, 0, 0 FROM pending WHERE node = $1
) AS parts
GROUP BY account, campaign, day ORDER BY account, day;

-- Of the journal that the node's last life writes: by it, or by the life before it there.
-- name: node_position
SELECT COALESCE(max(c.position), 0)::INT8 FROM cursors AS c
JOIN (SELECT epoch, previous FROM lives WHERE node = $1 ORDER BY epoch DESC LIMIT 1) AS l ON c.epoch = l.epoch OR c.epoch = l.previous
WHERE c.node = $1;

-- name: write_off_lease
UPDATE leases SET written_off = written_off + $5::INT8 WHERE node = $1 AND epoch = $2 AND account = $3 AND day = DATE '1970-01-01' + $4::INT4;

-- name: has_month
-- only: postgres
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits WHERE inhrelid = to_regclass($1) AND inhparent = to_regclass('postings'));

-- name: make_month
-- only: postgres
CREATE TABLE IF NOT EXISTS %s (LIKE postings INCLUDING ALL);

-- name: attach_month
-- only: postgres
ALTER TABLE postings ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s');

-- name: make_migrations
CREATE TABLE IF NOT EXISTS migrations (
  version  INT4 NOT NULL PRIMARY KEY,
  name     TEXT NOT NULL,
  checksum TEXT NOT NULL,
  applied  TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- name: make_lock
CREATE TABLE IF NOT EXISTS migration_lock (
  one    INT4 NOT NULL PRIMARY KEY CHECK (one = 1),
  holder TEXT NOT NULL,
  until  TIMESTAMPTZ NOT NULL
);

-- name: migrations
SELECT version, checksum, applied FROM migrations ORDER BY version;

-- name: lock
INSERT INTO migration_lock AS l (one, holder, until) VALUES (1, $1, now() + $2::INT8 * INTERVAL '1 second')
ON CONFLICT (one) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE l.until < now() OR l.holder = excluded.holder
RETURNING holder;

-- name: lock_holder
SELECT holder FROM migration_lock WHERE one = 1;

-- name: unlock
DELETE FROM migration_lock WHERE one = 1 AND holder = $1;

-- name: record_migration
INSERT INTO migrations (version, name, checksum) VALUES ($1, $2, $3) RETURNING applied;

-- The name of an account may be written down after its first grant.
-- name: balances
SELECT p.account, p.campaign, COALESCE(a.name, ''), p.currency, (p.day - DATE '1970-01-01')::INT4, COALESCE(a.daily, 0)::INT8, COALESCE(a.total, 0)::INT8,
  p.granted, p.leased, p.spent, p.released, p.refunded, p.written_off, p.events, p.refunds, p.stamp
FROM (
  SELECT account, campaign, max(currency) AS currency, day,
    sum(CASE WHEN credit = 1 THEN amount ELSE 0 END)::INT8 AS granted,
    sum(CASE WHEN debit = 2 THEN amount WHEN credit = 2 THEN -amount ELSE 0 END)::INT8 AS leased,
    sum(CASE WHEN debit = 3 THEN amount WHEN credit = 3 THEN -amount ELSE 0 END)::INT8 AS spent,
    sum(CASE WHEN debit = 4 THEN amount ELSE 0 END)::INT8 AS released,
    sum(CASE WHEN debit = 5 THEN amount ELSE 0 END)::INT8 AS refunded,
    sum(CASE WHEN debit = 6 THEN amount WHEN credit = 6 THEN -amount ELSE 0 END)::INT8 AS written_off,
    count(CASE WHEN debit = 3 THEN 1 END) AS events,
    count(CASE WHEN debit = 5 THEN 1 END) AS refunds,
    max(stamp) AS stamp
  FROM postings
  WHERE ($1::INT8 = 0 OR campaign = $1::INT8) AND ($2::INT8 = 0 OR account = $2::INT8) AND ($3::INT4 < 0 OR node = $3::INT4)
    AND day >= DATE '1970-01-01' + $4::INT4 AND day <= DATE '1970-01-01' + $5::INT4
  GROUP BY account, campaign, day
) AS p LEFT JOIN accounts AS a ON a.account = p.account
ORDER BY p.campaign, p.account, p.day;

-- name: lines
SELECT stamp, kind, event, account, campaign, (day - DATE '1970-01-01')::INT4, currency, credit, debit, amount, node, epoch, shard, seq,
  part, lease_epoch, line, creative, reason, note
FROM postings
WHERE ($1::INT8 = 0 OR campaign = $1::INT8) AND ($2::INT8 = 0 OR account = $2::INT8) AND ($3::INT4 < 0 OR node = $3::INT4)
  AND day >= DATE '1970-01-01' + $4::INT4 AND day <= DATE '1970-01-01' + $5::INT4
ORDER BY stamp, node, epoch, shard, seq, kind, event, part;

-- name: lives
SELECT l.node, l.epoch, l.previous, l.began, l.fenced, l.written_off, COALESCE(c.position, 0)::INT8, c.moved,
  COALESCE((SELECT sum(p.amount) FROM pending AS p WHERE p.node = l.node AND p.epoch = l.epoch), 0)::INT8
FROM lives AS l LEFT JOIN cursors AS c ON c.node = l.node AND c.epoch = l.epoch
WHERE $1::INT4 < 0 OR l.node = $1::INT4
ORDER BY l.node, l.epoch;

-- name: outstanding
SELECT node, epoch, account, max(campaign), (day - DATE '1970-01-01')::INT4, max(currency),
  sum(granted + unconfirmed)::INT8, sum(unconfirmed)::INT8, sum(returned)::INT8, sum(posted)::INT8, sum(written_off)::INT8
FROM (
  SELECT node, epoch, account, day, campaign, currency, granted, 0 AS unconfirmed, returned, posted, written_off FROM leases
  UNION ALL
  SELECT node, epoch, account, day, campaign, currency, 0, amount, 0, 0, 0 FROM pending
) AS held
WHERE ($1::INT8 = 0 OR campaign = $1::INT8) AND ($2::INT8 = 0 OR account = $2::INT8) AND ($3::INT4 < 0 OR node = $3::INT4)
  AND day >= DATE '1970-01-01' + $4::INT4 AND day <= DATE '1970-01-01' + $5::INT4 AND ($6::INT8 = 0 OR epoch = $6::INT8)
GROUP BY node, epoch, account, day
HAVING sum(granted + unconfirmed - returned - posted - written_off) <> 0
ORDER BY node, epoch, account, day;

-- name: write_off_life
UPDATE lives SET fenced = true, written_off = true, granted_stamp = GREATEST(granted_stamp, $3) WHERE node = $1 AND epoch = $2;

-- name: confirm_life
WITH gone AS (
  DELETE FROM pending WHERE node = $1 AND epoch = $2 RETURNING node, epoch, account, day, campaign, currency, amount
)
INSERT INTO leases AS l (node, epoch, account, day, campaign, currency, granted, returned, posted, refunded, written_off)
SELECT node, epoch, account, day, max(campaign), max(currency), sum(amount)::INT8, 0, 0, 0, 0 FROM gone GROUP BY node, epoch, account, day
ON CONFLICT (node, epoch, account, day) DO UPDATE SET granted = l.granted + excluded.granted;

-- name: verify_guards
SELECT what, 0::INT4, 0::INT8, account, day, kept, derived
FROM (
  SELECT 'day' AS what, COALESCE(k.account, e.account) AS account, (COALESCE(k.day, e.day) - DATE '1970-01-01')::INT4 AS day,
    COALESCE(k.committed, 0)::INT8 AS kept, COALESCE(e.committed, 0)::INT8 AS derived
  FROM account_days AS k FULL JOIN (
    SELECT account, day, sum(CASE WHEN credit = 1 THEN amount WHEN debit IN (4, 5) THEN -amount ELSE 0 END)::INT8 AS committed FROM postings GROUP BY account, day
  ) AS e ON e.account = k.account AND e.day = k.day
  UNION ALL
  SELECT 'total', COALESCE(k.account, e.account), 0::INT4, COALESCE(k.committed, 0)::INT8, COALESCE(e.committed, 0)::INT8
  FROM account_totals AS k FULL JOIN (
    SELECT account, sum(CASE WHEN credit = 1 THEN amount WHEN debit IN (4, 5) THEN -amount ELSE 0 END)::INT8 AS committed FROM postings GROUP BY account
  ) AS e ON e.account = k.account
) AS compared
WHERE kept <> derived
ORDER BY what, account, day;

-- Outstanding, what was posted in all, and refunded; of one lease.
-- name: verify_leases
SELECT what, node, epoch, account, (day - DATE '1970-01-01')::INT4, kept, derived
FROM (
  SELECT w.what, COALESCE(k.node, e.node) AS node, COALESCE(k.epoch, e.epoch) AS epoch, COALESCE(k.account, e.account) AS account,
    COALESCE(k.day, e.day) AS day,
    COALESCE(CASE w.what WHEN 'leased' THEN k.leased WHEN 'posted' THEN k.posted ELSE k.refunded END, 0)::INT8 AS kept,
    COALESCE(CASE w.what WHEN 'leased' THEN e.leased WHEN 'posted' THEN e.posted ELSE e.refunded END, 0)::INT8 AS derived
  FROM (
    SELECT node, epoch, account, day, sum(leased) AS leased, sum(posted) AS posted, sum(refunded) AS refunded
    FROM (
      SELECT node, epoch, account, day, granted - returned - posted - written_off AS leased, posted, refunded FROM leases
      UNION ALL
      SELECT node, epoch, account, day, amount, 0, 0 FROM pending
    ) AS parts
    GROUP BY node, epoch, account, day
  ) AS k FULL JOIN (
    SELECT node, lease_epoch AS epoch, account, day,
      sum(CASE WHEN debit = 2 THEN amount WHEN credit = 2 THEN -amount ELSE 0 END) AS leased,
      sum(CASE WHEN debit = 3 THEN amount ELSE 0 END) AS posted,
      sum(CASE WHEN debit = 5 THEN amount ELSE 0 END) AS refunded
    FROM postings GROUP BY node, lease_epoch, account, day
  ) AS e ON e.node = k.node AND e.epoch = k.epoch AND e.account = k.account AND e.day = k.day
  CROSS JOIN (SELECT 'leased' AS what UNION ALL SELECT 'posted' UNION ALL SELECT 'refunded') AS w
) AS compared
WHERE kept <> derived
ORDER BY node, epoch, account, day, what;
