-- The audit chain's analytical copy in ClickHouse. One row a record, as
-- "millrace audit export" prints them: columns in this order, CSV with a line of
-- names, or a JSON object a line.
--
--   millrace audit export --data /var/lib/millrace --csv |
--     clickhouse-client --query 'INSERT INTO millrace.audit FORMAT CSVWithNames'
--
-- A copy, not a proof: rows carry the chain's value after them (link), so that any
-- row can be held against the chain itself, which "millrace audit verify" judges.
-- Rows that are inserted again replace themselves; FINAL, or the views, read each
-- once. Amounts are whole nanos (1e-9) of the currency.

CREATE DATABASE IF NOT EXISTS millrace;

CREATE TABLE IF NOT EXISTS millrace.audit
(
    node         UInt16,
    position     UInt64,
    link         FixedString(64),
    kind         LowCardinality(String),
    event        LowCardinality(String),
    reason       LowCardinality(String),
    epoch        UInt32,
    shard        UInt16,
    seq          UInt64,
    time         DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    hlc          UInt64 CODEC(DoubleDelta, ZSTD(1)),
    campaign     UInt64,
    account      UInt64,
    day          Date32,
    lease_epoch  UInt32,
    amount       Int64 CODEC(T64, ZSTD(1)),
    daily        Int64,
    total        Int64,
    currency     LowCardinality(String),
    win_node     UInt16,
    win_epoch    UInt32,
    win_shard    UInt16,
    win_seq      UInt64,
    issued       DateTime('UTC'),
    user         UInt64,
    line         UInt64,
    creative     UInt64,
    from_account Array(UInt64),
    from_day     Array(Date32),
    from_epoch   Array(UInt32),
    sale_bid     Int64,
    sale_price   Int64,
    sale_currency LowCardinality(String),
    model        UInt64,
    name         String
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (campaign, time, node, position);

-- What became of the money, by account and day: granted = leased + spent +
-- refunded + released, where leased is what is still held.
CREATE VIEW IF NOT EXISTS millrace.balances AS
SELECT campaign, account, day, granted, released, billed, refunded, billed - refunded AS spent, granted - released - billed AS leased
FROM
(
    SELECT campaign, account, day,
        sumIf(amount, kind = 'granted') AS granted,
        sumIf(amount, kind = 'returned') AS released,
        sumIf(amount, kind = 'posted') AS billed,
        sumIf(amount, kind = 'refunded') AS refunded
    FROM
    (
        SELECT campaign, kind, amount, parts.1 AS account, parts.2 AS day
        FROM
        (
            SELECT campaign, kind, amount,
                arrayJoin(if(kind IN ('posted', 'refunded'), arrayZip(from_account, from_day), [(account, day)])) AS parts
            FROM millrace.audit FINAL
            WHERE kind IN ('granted', 'returned', 'posted', 'refunded')
        )
    )
    GROUP BY campaign, account, day
);

-- I3: an event is posted at most once, and refunded at most once. Empty, or there
-- is a defect.
CREATE VIEW IF NOT EXISTS millrace.doubled AS
SELECT kind, win_node, win_epoch, win_shard, win_seq, event, count() AS times
FROM millrace.audit FINAL
WHERE kind IN ('posted', 'refunded')
GROUP BY kind, win_node, win_epoch, win_shard, win_seq, event
HAVING times > 1;

-- I6: the stamps of a shard's events rise with its node's journal. Empty, or there
-- is a defect.
CREATE VIEW IF NOT EXISTS millrace.out_of_order AS
SELECT node, epoch, shard, position, hlc, before
FROM
(
    SELECT node, epoch, shard, position, hlc,
        lagInFrame(hlc, 1, 0) OVER (PARTITION BY node, epoch, shard ORDER BY position ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM millrace.audit FINAL
    WHERE kind IN ('posted', 'recorded')
)
WHERE hlc <= before;
