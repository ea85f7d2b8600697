-- Of the tokens that converted with the same order, the earliest keeps its conversion. The tokens whose conversion
-- changed are queued in `stale`, so that their units' days are computed anew.
WITH ranked AS (
    SELECT serve_id,
           row_number() OVER (PARTITION BY order_advertiser, order_id ORDER BY conversion_at, serve_id) = 1 AS earliest
    FROM exposures
    JOIN (SELECT DISTINCT order_advertiser, order_id FROM touched_orders) touched USING (order_advertiser, order_id)
    WHERE converted OR repeated_order
), changed AS (
    UPDATE exposures SET converted = earliest, repeated_order = NOT earliest
    FROM ranked WHERE ranked.serve_id = exposures.serve_id AND converted <> earliest
    RETURNING exposures.serve_id
)
INSERT INTO stale SELECT serve_id FROM changed
