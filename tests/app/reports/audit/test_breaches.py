"""The audit passes over what the flows left, and finds what somebody did to the books past every guard, by name and by row.

A case plants one thing, as a superuser in a copy of the database or in the files of a snapshot, whose manifest is made anew then:
that a file was changed at all is found before anything is judged. `also` are the other checks that must speak, since what they
promise is broken as well; all others stay silent.
"""

# ruff: noqa: S608 - every word of the SQL below stands in this file

import json
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.reports.audit.checks import NOTHING, PASS
from app.reports.audit.judge import audit_folder, checks
from sinks.archive.manifest import MANIFEST
from tests.app.reports.audit.audited import OFFICE, open_books, take_books
from tests.app.surroundings import open_database

# Not marked as in need of a Postgres, and so not run again on another one: that says nothing of an audit of what was taken.

HASHES = ("I5_every_batch_has_the_hash_of_its_rows",)
BODIES = "I5_every_transaction_has_the_body_of_its_hash"
SEALED = "I5_every_sealed_day_is_what_was_sealed"
TRADE = "(SELECT max(tx_id::TEXT)::UUID FROM ledger.tx WHERE template LIKE 'USER\\_%')"
EARLY = """(SELECT min(tx_id::TEXT)::UUID FROM ledger.tx WHERE template = 'USER_BUYS_USD'
    AND tx_id NOT IN (SELECT cause_tx_id FROM ledger.tx WHERE relation = 'reverses'))"""
FILL = "(SELECT max(tx_id::TEXT)::UUID FROM ledger.tx WHERE template = 'FILL_SOLD')"
MOVE = "(SELECT max(tx_id::TEXT)::UUID FROM ledger.tx WHERE template = 'DECREASE_EXCHANGE_POSITION')"
REVERSAL = "(SELECT tx_id FROM ledger.tx WHERE relation = 'reverses' AND source = 'console/reversals')"
PART = "(SELECT tx_id FROM ledger.tx WHERE relation = 'captures' AND NOT is_final)"
VOID = "(SELECT tx_id FROM ledger.tx WHERE relation = 'voids')"
DONE = "(SELECT min(client_id) FROM treasury.request WHERE kind = 'order' AND state = 'filled')"
ACTING = "(SELECT decision_id FROM treasury.request WHERE client_id = " + DONE + ")"
JOB = "(SELECT min(job_id) FROM treasury.conversion_job WHERE job_id LIKE 'replenish:%')"
ORDERED = "(SELECT decision_id FROM treasury.conversion_job WHERE job_id = " + JOB + ")"


class Case(NamedTuple):
    """What is planted, the check that finds it, and the others that must; the statement gives the id that a row has to name."""

    plant: str
    found_by: str
    also: tuple[str, ...] = ()


def another(table: str, where: str, **changes: str) -> str:
    """SQL that adds a row like another one, but for these columns."""
    pairs = ", ".join(f"'{column}', {value}" for column, value in changes.items())
    row = f"jsonb_populate_record(r, jsonb_build_object({pairs}))"
    return f"INSERT INTO {table} SELECT ({row}).* FROM {table} r WHERE {where}"


IN_THE_DATABASE = {
    "an amount is larger": Case(
        f"UPDATE ledger.entry SET amount = amount + 1 WHERE tx_id = {TRADE} AND leg = 1 RETURNING tx_id",
        "I3_every_transaction_balances",
        (
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            *HASHES,
            BODIES,
        ),
    ),
    "both sides of a trade are larger": Case(
        f"UPDATE ledger.entry SET amount = amount + 1 WHERE tx_id = {TRADE} AND currency = 'USD' RETURNING tx_id",
        "I15_every_trade_books_what_its_legs_say",
        (
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            *HASHES,
            BODIES,
        ),
    ),
    "an entry is gone": Case(
        f"DELETE FROM ledger.entry WHERE tx_id = {TRADE} AND leg = 1 RETURNING tx_id",
        "I3_every_transaction_is_whole",
        (
            "I3_every_transaction_balances",
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            "I4_versions_have_no_gap",
            *HASHES,
            "I5_every_batch_is_whole",
            BODIES,
        ),
    ),
    "an entry is in another currency": Case(
        f"UPDATE ledger.entry SET currency = 'EUR' WHERE tx_id = {TRADE} AND leg = 1 RETURNING account_id::TEXT",
        "I15_every_entry_is_on_an_account_that_takes_it",
        (
            "I3_every_transaction_balances",
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            "I4_versions_have_no_gap",
            *HASHES,
            BODIES,
        ),
    ),
    "entries are on an account that is the sum of others": Case(
        f"""UPDATE ledger.entry SET account_id = 14, version = 1, balance_after = amount
            WHERE tx_id = {MOVE} AND leg = 1 RETURNING account_id::TEXT""",
        "I15_every_entry_is_on_an_account_that_takes_it",
        (
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            "I4_versions_have_no_gap",
            *HASHES,
            BODIES,
        ),
    ),
    "a transaction is booked twice": Case(
        f"""WITH again AS ({another("ledger.tx", f"tx_id = {TRADE}", tx_id="gen_random_uuid()", position="9999")} RETURNING tx_id)
            INSERT INTO ledger.entry
            SELECT again.tx_id, e.version + 100000, e.account_id, e.leg, e.layer, e.side, e.currency, e.amount, e.balance_after
            FROM ledger.entry e, again WHERE e.tx_id = {TRADE} RETURNING tx_id""",
        "I2_every_business_key_is_booked_once",
        (
            "I1_every_leg_has_its_place",
            "I2_every_group_of_legs_is_paired_as_well_as_can_be",
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            "I4_versions_have_no_gap",
            *HASHES,
            "I5_every_batch_is_whole",
        ),
    ),
    "a balance is larger": Case(
        "UPDATE ledger.balance SET settled_debit = settled_debit + 1 WHERE account_id = 3 RETURNING account_id::TEXT",
        "I4_every_balance_is_the_sum_of_its_entries",
    ),
    "both sides of a balance are larger": Case(
        """UPDATE ledger.balance SET settled_debit = settled_debit + 1, settled_credit = settled_credit + 1
           WHERE account_id = 3 RETURNING account_id::TEXT""",
        "I4_every_balance_is_the_sum_of_its_entries",
    ),
    "something is pending that nobody booked": Case(
        "UPDATE ledger.balance SET pending_debit = pending_debit + 1 WHERE account_id = 3 RETURNING account_id::TEXT",
        "I4_every_balance_is_the_sum_of_its_entries",
    ),
    "a balance has no row": Case(
        "DELETE FROM ledger.balance WHERE account_id = 3 RETURNING account_id::TEXT",
        "I4_every_balance_is_the_sum_of_its_entries",
    ),
    "a version of a balance is larger": Case(
        "UPDATE ledger.balance SET version = version + 1 WHERE account_id = 3 RETURNING account_id::TEXT",
        "I4_every_balance_is_the_sum_of_its_entries",
    ),
    "a version was left out": Case(
        """UPDATE ledger.entry e SET version = e.version + 1 FROM ledger.balance b
           WHERE (e.account_id, e.currency, e.version) = (b.account_id, b.currency, b.version) AND b.account_id = 3
           RETURNING e.tx_id""",
        "I4_versions_have_no_gap",
        HASHES,
    ),
    "the balance after an entry is larger": Case(
        f"UPDATE ledger.entry SET balance_after = balance_after + 1 WHERE tx_id = {TRADE} AND leg = 1 RETURNING tx_id",
        "I4_every_entry_says_the_balance_after_it",
        HASHES,
    ),
    "a sum by date is larger": Case(
        """UPDATE ledger.effective_delta SET delta = delta + 1
           WHERE batch_id = (SELECT max(batch_id) FROM ledger.effective_delta) AND layer = 1 RETURNING account_id::TEXT""",
        "I4_every_sum_by_date_follows_from_entries",
    ),
    "a sum by date came in": Case(
        "INSERT INTO ledger.effective_delta VALUES (3, 'USD', 1, '2026-11-24', 1, 5) RETURNING effective_date::TEXT",
        "I4_every_sum_by_date_follows_from_entries",
    ),
    "a transaction is gone, with its entries": Case(
        f"""WITH gone AS (DELETE FROM ledger.entry WHERE tx_id = {TRADE})
            DELETE FROM ledger.tx WHERE tx_id = {TRADE} RETURNING meta -> 'btc_leg' ->> 'id'""",
        "I1_every_leg_has_its_place",
        (
            "I2_every_group_of_legs_is_paired_as_well_as_can_be",
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            "I4_versions_have_no_gap",
            *HASHES,
            "I5_every_batch_is_whole",
        ),
    ),
    "a batch is gone": Case(
        "DELETE FROM ledger.batch WHERE batch_id = 3 RETURNING batch_id::TEXT",
        "I5_every_batch_is_whole",
        (*HASHES, "I5_every_batch_follows_the_one_before", "I12_every_transaction_has_its_batch_and_cause"),
    ),
    "a batch says another time": Case(
        "UPDATE ledger.batch SET recorded_at = recorded_at + INTERVAL '1 ms' WHERE batch_id = 3 RETURNING batch_id::TEXT",
        "I5_every_batch_follows_the_one_before",
    ),
    "a hash is another": Case(
        "UPDATE ledger.batch SET content_hash = sha256(content_hash) WHERE batch_id = 3 RETURNING batch_id::TEXT",
        "I5_every_batch_has_the_hash_of_its_rows",
        ("I5_every_batch_follows_the_one_before",),
    ),
    "a batch follows another one": Case(
        "UPDATE ledger.batch SET prev_hash = sha256(prev_hash) WHERE batch_id = 3 RETURNING batch_id::TEXT",
        "I5_every_batch_follows_the_one_before",
    ),
    "a batch says that it has more": Case(
        "UPDATE ledger.batch SET n_tx = n_tx + 1 WHERE batch_id = 3 RETURNING batch_id::TEXT",
        "I5_every_batch_is_whole",
        ("I5_every_batch_follows_the_one_before",),
    ),
    "a batch says that it read less": Case(
        """UPDATE ledger.batch SET source = '{"console/reversals": [1, 1]}'
           WHERE source::TEXT LIKE '%console/reversals%' RETURNING batch_id::TEXT""",
        "I12_every_transaction_has_its_batch_and_cause",
        ("I5_every_batch_follows_the_one_before",),
    ),
    "a word of the metadata is another": Case(
        f"""UPDATE ledger.tx SET meta = replace(meta::TEXT, 'Settlement', 'settlement')::JSON
            WHERE tx_id = {TRADE} RETURNING tx_id""",
        BODIES,
        ("I15_every_leg_is_as_its_message_told_it",),
    ),
    "two trades have swapped a leg": Case(
        f"""WITH two AS (SELECT tx_id, meta FROM ledger.tx WHERE tx_id IN ({TRADE}, {EARLY}))
            UPDATE ledger.tx t SET meta = jsonb_set(t.meta::JSONB, '{{usd_leg}}', o.meta::JSONB -> 'usd_leg')::JSON
            FROM two o WHERE t.tx_id IN ({TRADE}, {EARLY}) AND o.tx_id <> t.tx_id RETURNING t.meta -> 'btc_leg' ->> 'id'""",
        "I2_every_group_of_legs_is_paired_as_well_as_can_be",
        (BODIES, "I15_every_trade_books_what_its_legs_say"),
    ),
    "the time of a transaction is another": Case(
        f"UPDATE ledger.tx SET effective_at = effective_at + INTERVAL '1 us' WHERE tx_id = {TRADE} RETURNING tx_id",
        BODIES,
        HASHES,
    ),
    "a transaction has moved into a sealed day": Case(
        f"""UPDATE ledger.tx SET effective_at = effective_at - INTERVAL '10 s'
            WHERE tx_id = {TRADE} RETURNING effective_at::DATE::TEXT""",
        SEALED,
        (*HASHES, BODIES),
    ),
    "a seal says more": Case(
        """UPDATE ledger.closed_period SET manifest = jsonb_set(manifest, '{days,-1,transactions}', '1')
           RETURNING closed_until::DATE::TEXT""",
        SEALED,
    ),
    "an account grows by its other side": Case(
        "UPDATE ledger.account SET normal_side = -normal_side WHERE account_id = 3 RETURNING account_id::TEXT",
        "I5_every_account_is_what_its_history_tells",
    ),
    "the history of an account is another": Case(
        """UPDATE ledger.account_change SET changed_by = 'nobody' WHERE revision = 2 RETURNING 'change ' || revision""",
        "I5_every_account_is_what_its_history_tells",
    ),
    "an account has less than it may": Case(
        """UPDATE ledger.account SET min_available = 10000000 WHERE code = 'OFFICE_BUDGET' RETURNING account_id::TEXT""",
        "I13_every_balance_is_within_its_limits",
        ("I5_every_account_is_what_its_history_tells",),
    ),
    "what was rejected is booked": Case(
        f"UPDATE ledger.tx SET tx_id = (SELECT tx_id FROM ledger.reject) WHERE tx_id = {REVERSAL} RETURNING tx_id",
        "I2_every_id_has_one_verdict",
        (
            "I3_every_transaction_is_whole",
            "I4_every_sum_by_date_follows_from_entries",
            "I4_versions_have_no_gap",
            *HASHES,
            "I5_every_batch_is_whole",
            BODIES,
            "I14_every_resolution_follows_from_a_header",
            "I14_every_reversal_is_the_mirror",
        ),
    ),
    "a rejection gives another reason": Case(
        "UPDATE ledger.reject SET reason = 'no_reason' RETURNING tx_id",
        BODIES,
        HASHES,
    ),
    "what is kept of a conflict is another": Case(
        "UPDATE ledger.conflict SET payload = replace(payload::TEXT, '797e2a54-2', '797e2a54-3')::JSON RETURNING tx_id",
        BODIES,
        HASHES,
    ),
    "a reversal is no mirror": Case(
        f"""UPDATE ledger.entry SET amount = amount - 1 WHERE tx_id = {REVERSAL} AND currency = 'USD' RETURNING tx_id""",
        "I14_every_reversal_is_the_mirror",
        (
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            *HASHES,
            BODIES,
        ),
    ),
    "a transaction is reversed twice": Case(
        f"""UPDATE ledger.tx SET relation = 'reverses', is_final = TRUE, cause_tx_id = (SELECT cause_tx_id FROM ledger.tx
            WHERE tx_id = {REVERSAL}) WHERE tx_id = {PART} RETURNING cause_tx_id""",
        "I14_every_transaction_is_reversed_once",
        (
            *HASHES,
            BODIES,
            "I14_every_hold_adds_up",
            "I14_every_resolution_follows_from_a_header",
            "I14_every_reversal_is_the_mirror",
        ),
    ),
    "a part of a hold was its end": Case(
        f"UPDATE ledger.tx SET is_final = TRUE WHERE tx_id = {PART} RETURNING cause_tx_id",
        "I14_every_hold_adds_up",
        (BODIES, "I14_every_resolution_follows_from_a_header"),
    ),
    "a hold is said to have ended otherwise": Case(
        "UPDATE ledger.resolution SET relation = 'expired' WHERE relation = 'voided' RETURNING tx_id",
        "I14_every_resolution_follows_from_a_header",
    ),
    "a cause is not there": Case(
        f"UPDATE ledger.tx SET cause_tx_id = gen_random_uuid() WHERE tx_id = {VOID} RETURNING tx_id",
        "I12_every_transaction_has_its_batch_and_cause",
        (*HASHES, BODIES, "I14_every_hold_adds_up", "I14_every_resolution_follows_from_a_header"),
    ),
    "a transaction comes from a message that is not there": Case(
        f"UPDATE ledger.tx SET source_offset = 100000 WHERE tx_id = {TRADE} RETURNING tx_id",
        "I12_every_transaction_leads_to_its_message",
        (*HASHES, "I12_every_transaction_has_its_batch_and_cause"),
    ),
    "a single posting is said to come from another message": Case(
        """UPDATE ledger.tx SET source_offset = 100000 WHERE source = 'ledger.postings/0' AND source_offset = 0
           RETURNING 'budget'""",
        "I1_every_single_posting_has_its_place",
        (*HASHES, "I12_every_transaction_has_its_batch_and_cause", "I12_every_transaction_leads_to_its_message"),
    ),
    "a fill is booked at another price": Case(
        f"""UPDATE ledger.tx SET meta = jsonb_set(meta::JSONB, '{{price_usd}}', '"1"')::JSON
            WHERE tx_id = {FILL} RETURNING tx_id""",
        "I15_every_fill_and_line_of_cash_books_what_its_message_says",
        (BODIES,),
    ),
    "a fill is gone": Case(
        f"""WITH gone AS (DELETE FROM ledger.entry WHERE tx_id = {FILL})
            DELETE FROM ledger.tx WHERE tx_id = {FILL} RETURNING meta ->> 'event_id'""",
        "I1_every_fill_and_line_of_cash_is_booked",
        (
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            "I4_versions_have_no_gap",
            *HASHES,
            "I5_every_batch_is_whole",
            SEALED,
            "I11_the_position_is_the_sum_of_its_fills",
        ),
    ),
    "a fill of ours is left in suspense": Case(
        f"""WITH gone AS (DELETE FROM ledger.entry WHERE tx_id = {MOVE})
            DELETE FROM ledger.tx WHERE tx_id = {MOVE} RETURNING meta ->> 'event_id'""",
        "I1_every_fill_of_ours_is_in_the_position",
        (
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            "I4_versions_have_no_gap",
            *HASHES,
            "I5_every_batch_is_whole",
            SEALED,
        ),
    ),
    "an unreadable message is not in quarantine": Case(
        """DELETE FROM treasury.quarantine WHERE "offset" = (SELECT max("offset") FROM treasury.quarantine)
           RETURNING "offset"::TEXT""",
        "I1_every_unreadable_message_is_in_quarantine",
        ("I1_every_leg_has_its_place",),
    ),
    "an unreadable message is kept with other bytes": Case(
        """UPDATE treasury.quarantine SET raw = raw || '!' WHERE "offset" = (SELECT max("offset") FROM treasury.quarantine)
           RETURNING "offset"::TEXT""",
        "I1_every_unreadable_message_is_in_quarantine",
        ("I1_every_leg_has_its_place",),
    ),
    "two orders were open at once": Case(
        f"""WITH later AS (DELETE FROM treasury.request_change WHERE client_id = {DONE} AND state <> 'reserved' RETURNING *)
            INSERT INTO treasury.request_change OVERRIDING SYSTEM VALUE
            SELECT id + 100000, kind, client_id, decision_id, counterparty, state, filled, sequence, reason, changed_at FROM later
            RETURNING client_id""",
        "I7_one_request_is_open_per_slot",
    ),
    "an order is said to have ended otherwise": Case(
        f"UPDATE treasury.request SET filled = filled + 1 WHERE client_id = {DONE} RETURNING client_id",
        "I7_every_request_is_what_its_changes_tell",
    ),
    "the changes of an order are gone": Case(
        f"DELETE FROM treasury.request_change WHERE client_id = {DONE} RETURNING client_id",
        "I7_every_request_is_what_its_changes_tell",
        ("I8_every_request_was_reserved_before_it_was_sent",),
    ),
    "nobody decided an order": Case(
        f"DELETE FROM treasury.decision WHERE id = {ACTING} RETURNING id",
        "I8_every_request_has_its_decision",
    ),
    "an order is larger than was decided": Case(
        f"""UPDATE treasury.request SET body = jsonb_set(body, '{{contracts}}', '-7777777') WHERE client_id = {DONE}
            RETURNING client_id""",
        "I8_every_request_has_its_decision",
        ("I13_every_order_keeps_its_size",),
    ),
    "an order was sent before it was reserved": Case(
        f"""UPDATE treasury.request SET sent_at = reserved_at - INTERVAL '1 s' WHERE client_id = {DONE} RETURNING client_id""",
        "I8_every_request_was_reserved_before_it_was_sent",
    ),
    "a decision to act came to nothing": Case(
        another("treasury.decision", f"id = {ACTING}", id="'another'") + " RETURNING id",
        "I8_every_decision_to_act_was_asked_for",
    ),
    "an order has no answer since the morning": Case(
        """WITH gone AS (DELETE FROM treasury.request_change WHERE client_id = (
                SELECT client_id FROM treasury.request WHERE kind = 'order' ORDER BY reserved_at DESC LIMIT 1
            ) AND state NOT IN ('reserved', 'sent') RETURNING client_id)
            UPDATE treasury.request SET state = 'sent', stage = 'sent', filled = 0, sequence = 0, finished_at = NULL
            WHERE client_id IN (SELECT client_id FROM gone) RETURNING client_id""",
        "I9_no_request_stays_without_an_answer",
    ),
    "a sale was decided within the band": Case(
        f"""UPDATE treasury.decision
            SET inputs = jsonb_set(inputs, '{{exposure_cents}}', to_jsonb(-(inputs ->> 'liability_cents')::BIGINT))
            WHERE id = {ACTING} RETURNING id""",
        "I10_every_decision_keeps_its_band",
    ),
    "a decision has no inputs": Case(
        f"UPDATE treasury.decision SET inputs = '{{}}' WHERE id = {ACTING} RETURNING id",
        "I12_every_decision_has_its_inputs_and_policy",
    ),
    "a decision knew what came later": Case(
        f"""UPDATE treasury.decision SET inputs = jsonb_set(inputs, '{{price_as_of}}', '1795700000000')
            WHERE id = {ACTING} RETURNING id""",
        "I12_every_decision_has_its_inputs_and_policy",
    ),
    "a decision acts without a price": Case(
        f"UPDATE treasury.decision SET inputs = inputs || '{{\"price_usd\": null}}' WHERE id = {ACTING} RETURNING id",
        "I12_every_decision_has_its_inputs_and_policy",
    ),
    "a sale takes the leverage over its bound": Case(
        f"UPDATE treasury.decision SET inputs = inputs || '{{\"trading_equity_sats\": 100}}' WHERE id = {ACTING} RETURNING id",
        "I13_no_sale_takes_leverage_over_its_bound",
    ),
    "a provider was asked again before the first one had ended": Case(
        f"""UPDATE treasury.request_change SET changed_at = changed_at + INTERVAL '1 hour'
            WHERE state = 'failed' AND client_id = (SELECT client_id FROM treasury.request
                WHERE kind = 'conversion' AND body ->> 'job_id' = {JOB} AND body ->> 'attempt' = '1')
            RETURNING client_id""",
        "T2_one_attempt_is_open_at_a_time",
    ),
    "a job is of another window than its key": Case(
        f"""WITH steps AS (UPDATE treasury.conversion_job_change SET body = jsonb_set(body, '{{window_end}}', '1699999200000')
                WHERE job_id = {JOB})
            UPDATE treasury.conversion_job SET body = jsonb_set(body, '{{window_end}}', '1699999200000')
            WHERE job_id = {JOB} RETURNING job_id""",
        "T2_every_job_has_a_key_of_its_own",
    ),
    "a job is booked and does not say so": Case(
        f"""WITH gone AS (DELETE FROM treasury.conversion_job_change WHERE job_id = {JOB} AND state = 'completed')
            UPDATE treasury.conversion_job j SET body = (SELECT c.body FROM treasury.conversion_job_change c
                WHERE c.job_id = j.job_id AND c.state = 'ledger_updating')
            WHERE job_id = {JOB} RETURNING job_id""",
        "T4_a_job_is_completed_when_its_posting_is_there",
    ),
    "a job says it is completed by another conversion": Case(
        f"""WITH last AS (UPDATE treasury.conversion_job_change SET body = jsonb_set(body, '{{provider_tx_id}}', '"P7"')
                WHERE job_id = {JOB} AND state = 'completed')
            UPDATE treasury.conversion_job SET body = jsonb_set(body, '{{provider_tx_id}}', '"P7"')
            WHERE job_id = {JOB} RETURNING job_id""",
        "T4_a_job_is_completed_when_its_posting_is_there",
    ),
    "a step of a job is gone": Case(
        f"DELETE FROM treasury.conversion_job_change WHERE job_id = {JOB} AND sequence = 3 RETURNING job_id",
        "T4_every_job_takes_its_steps_in_order",
    ),
    "a job takes a step that there is not": Case(
        f"""UPDATE treasury.conversion_job_change SET body = jsonb_set(body, '{{state}}', '"cancelled"')
            WHERE job_id = {JOB} AND sequence = 3 RETURNING job_id""",
        "T4_every_job_takes_its_steps_in_order",
    ),
    "a job was for less at first": Case(
        f"""UPDATE treasury.conversion_job_change SET body = jsonb_set(body, '{{amount}}', '1')
            WHERE job_id = {JOB} AND sequence = 1 RETURNING job_id""",
        "T4_every_job_takes_its_steps_in_order",
    ),
    "a decision orders more than its jobs": Case(
        f"UPDATE treasury.decision SET amount = amount + 10000 WHERE id = {ORDERED} RETURNING id",
        "T5_every_decision_to_convert_has_its_jobs",
    ),
    "a decision that was only tried is carried out": Case(
        f"UPDATE treasury.decision SET book = 'shadow' WHERE id = {ORDERED} RETURNING id",
        "T5_every_decision_to_convert_has_its_jobs",
        ("T6_every_request_to_a_provider_has_its_job",),
    ),
    "a buffer needed less than was decided": Case(
        f"UPDATE treasury.decision SET inputs = jsonb_set(inputs, '{{need}}', '1') WHERE id = {ORDERED} RETURNING id",
        "T5_every_decision_about_a_buffer_follows_from_its_inputs",
    ),
    "what is on its way was ordered again": Case(
        f"""UPDATE treasury.decision SET inputs = jsonb_set(inputs, ARRAY[venue, '1'], '90000000000') WHERE id = {ORDERED}
            RETURNING id""",
        "T5_every_decision_about_a_buffer_follows_from_its_inputs",
    ),
    "nobody decided a job": Case(
        f"DELETE FROM treasury.decision WHERE id = {ORDERED} RETURNING id",
        "T6_every_request_to_a_provider_has_its_job",
    ),
    "a provider was asked for another amount than its job orders": Case(
        f"""UPDATE treasury.request SET body = jsonb_set(body, '{{amount}}', '7')
            WHERE kind = 'conversion' AND state = 'failed' AND body ->> 'job_id' = {JOB} RETURNING client_id""",
        "T6_every_request_to_a_provider_has_its_job",
    ),
    "a customer has more than anybody gave": Case(
        """UPDATE ledger.balance SET settled_credit = settled_credit + 7 WHERE currency = 'DOT'
           AND account_id = (SELECT account_id FROM ledger.account WHERE code = 'CUSTOMER/w1') RETURNING currency""",
        "S1_every_asset_sums_to_zero",
        ("I4_every_balance_is_the_sum_of_its_entries",),
    ),
    "a trade is neither settled nor refused": Case(
        "DELETE FROM settlement.refusal WHERE kind = 'trade' AND reason = 'broken_link' RETURNING word_id",
        "S2_every_trade_has_its_place",
    ),
    "a trade is settled as the number of another": Case(
        """UPDATE ledger.tx SET meta = replace(meta::TEXT, '"sequence":14,', '"sequence":13,')::JSON
           WHERE meta ->> 'trade' = 'BTC_USDT-14' RETURNING 'BTC_USDT/13'""",
        "S2_every_trade_is_settled_once",
        (BODIES, "S3_every_posting_of_a_trade_books_what_its_trade_says", "S5_every_symbol_follows_its_chain"),
    ),
    "an asset is told to be finer than it was": Case(
        """UPDATE settlement.instrument SET body = jsonb_set(body, '{quote_decimals}', '17') WHERE symbol = 'DOT_ETH'
           RETURNING 'late trade'""",
        "S3_every_posting_of_a_trade_books_what_its_trade_says",
        ("S4_every_posting_of_a_customer_books_what_was_told",),
    ),
    "a trade says that its buyer paid a fee at no rate": Case(
        """UPDATE ledger.tx SET meta = replace(meta::TEXT, '"buyer_fee":54500', '"buyer_fee":54501')::JSON
           WHERE meta ->> 'trade' = 'BTC_USDT-14' RETURNING tx_id""",
        "S3_every_posting_of_a_trade_books_what_its_trade_says",
        (BODIES,),
    ),
    "revenue went to the seller": Case(
        """UPDATE ledger.entry e SET amount = e.amount + CASE a.code WHEN 'TRADING_REVENUE' THEN -1 ELSE 1 END
           FROM ledger.account a WHERE a.account_id = e.account_id AND a.code IN ('TRADING_REVENUE', 'CUSTOMER/u0')
           AND e.currency = 'USDT'
           AND e.tx_id = (SELECT tx_id FROM ledger.tx WHERE meta ->> 'trade' = 'BTC_USDT-14') RETURNING e.tx_id""",
        "S3_every_posting_of_a_trade_books_what_its_trade_says",
        (
            "I4_every_balance_is_the_sum_of_its_entries",
            "I4_every_entry_says_the_balance_after_it",
            "I4_every_sum_by_date_follows_from_entries",
            *HASHES,
            BODIES,
        ),
    ),
    "a withdrawal has no answer": Case(
        "DELETE FROM settlement.refusal WHERE word_id = 'f101' RETURNING word_id",
        "S4_every_word_of_a_customer_is_booked_or_refused",
    ),
    "a trade took the lock of another order": Case(
        """UPDATE ledger.tx SET meta = replace(meta::TEXT, '"buy_order":"o63"', '"buy_order":"o31"')::JSON
           WHERE meta ->> 'trade' = 'BTC_USDT-14' RETURNING 'o31'""",
        "S4_every_lock_goes_to_trades_or_back",
        (BODIES, "S3_every_posting_of_a_trade_books_what_its_trade_says"),
    ),
    "a refused trade names another one before it": Case(
        """UPDATE settlement.refusal SET body = jsonb_set(body, '{previous_hash}', to_jsonb(repeat('7', 32)))
           WHERE kind = 'trade' AND word_id = 'BTC_USDT-15' RETURNING word_id""",
        "S5_every_symbol_follows_its_chain",
    ),
    "a policy is not kept": Case(
        "DELETE FROM treasury.policy WHERE body::JSONB ? 'rules' RETURNING version",
        "I12_every_decision_has_its_inputs_and_policy",
    ),
}


class Message(NamedTuple):
    """What is planted in a file of a topic: the rows that are left of it, the check that finds it, and what a row has to name."""

    file: str
    rows: str
    found_by: str
    names: str
    also: tuple[str, ...] = ()


def turned(old: str, new: str, offset: str = '"offset"') -> str:
    """The rows of a file with a text in the values that is another: in all, or in the one at an offset."""
    value = f"""encode(replace(decode(value), '{old}', '{new}'))"""
    return f'* REPLACE (CASE "offset" WHEN {offset} THEN {value} ELSE value END AS value) FROM it'


IN_THE_FOLDER = {
    "a price is gone from the middle": Message(
        "market.ticks/0-0-59", '* FROM it WHERE "offset" <> 7', "I1_offsets_have_no_holes", "8"
    ),
    "the last price is gone": Message(
        "market.ticks/0-0-59", '* FROM it WHERE "offset" < 59', "I1_offsets_have_no_holes", "59"
    ),
    "a leg is gone": Message(
        "dealer.transactions/3-0-171",
        '* FROM it WHERE "offset" <> 1',
        "I1_offsets_have_no_holes",
        "2",
        ("I12_every_transaction_leads_to_its_message",),
    ),
    "a leg has another amount": Message(
        "dealer.transactions/3-0-171",
        turned('"settlement_amount":', '"settlement_amount":1', "1"),
        "I15_every_leg_is_as_its_message_told_it",
        "b-1a212ea0cb9-0000004",
    ),
    "a fill has another price": Message(
        "venue.fills/0-0-59",
        turned('"price_usd":"', '"price_usd":"1', "3"),
        "I15_every_fill_and_line_of_cash_books_what_its_message_says",
        "price",
    ),
    "a fill has another size": Message(
        "venue.fills/0-0-59",
        turned('"contracts":-', '"contracts":-1', "3"),
        "I15_every_fill_and_line_of_cash_books_what_its_message_says",
        "amount",
    ),
    "a position is another": Message(
        "venue.positions/0-0-80",
        turned('"exposure_cents":-', '"exposure_cents":-1').replace(
            "decode(value)", """replace(decode(value), '"contracts":-', '"contracts":-1')"""
        ),
        "I11_the_position_is_the_sum_of_its_fills",
        "simulated",
    ),
    "a balance at the exchange is another": Message(
        "venue.balances/0-0-97",
        turned('"funding_sats":', '"funding_sats":1'),
        "I11_the_funding_account_is_what_the_exchange_says",
        "simulated",
    ),
    "what is paired is said to wait": Message(
        "legs.waiting/0-0-384", turned('"state":"paired"', '"state":"waiting"'), "I1_every_leg_has_its_place", "waiting"
    ),
    "a single posting asks for another amount": Message(
        "ledger.postings/0-0-6",
        turned('"amount":5000000', '"amount":5000001', "0"),
        "I15_every_single_posting_books_what_its_message_says",
        "budget",
    ),
    "a flow has another amount": Message(
        "treasury.flows/0-0-41",
        turned('"amount":-300000000', '"amount":-300000001', "5"),
        "T1_every_posting_of_a_flow_books_what_flowed",
        "w3",
    ),
    "a flow is another one": Message(
        "treasury.flows/0-0-41",
        turned('"id":"w3"', '"id":"w33"', "5"),
        "T1_every_flow_is_booked_once",
        "w33",
        ("T1_every_posting_of_a_flow_books_what_flowed",),
    ),
    "a provider gave less than was booked": Message(
        "provider.events/0-0-3",
        turned('"destination_amount":', '"destination_amount":1', "1"),
        "T3_every_posting_of_a_conversion_is_what_its_provider_did",
        "zerohash",
    ),
    "a provider did another conversion": Message(
        "provider.events/0-0-3",
        turned('"provider_tx_id":"P2"', '"provider_tx_id":"P9"', "1"),
        "T3_every_completed_conversion_is_booked_once",
        "P9",
        ("T3_every_posting_of_a_conversion_is_what_its_provider_did",),
    ),
    "somebody else told a conversion": Message(
        "ops.controls/0-0-0", turned("anna", "eve"), "T6_every_request_to_a_provider_has_its_job", "manual:c1"
    ),
    "somebody who asked agreed as well": Message(
        "gov.approvals/0-0-0",
        turned("boris", "anna"),
        "T6_what_waits_for_approval_is_asked_for_when_others_agreed",
        "manual:c1",
    ),
    "a trade has another price": Message(
        "trades.matched/0-0-50",
        turned('"price":"109"', '"price":"108"', "25"),
        "S3_every_posting_of_a_trade_books_what_its_trade_says",
        "price",
    ),
    "a trade has another quantity": Message(
        "trades.matched/0-0-50",
        turned('"quantity":', '"quantity":1', "25"),
        "S3_every_posting_of_a_trade_books_what_its_trade_says",
        "is hashed to",
    ),
    "a trade that was told is another": Message(
        "trades.matched/0-0-50",
        turned('"trade_id":"BTC_USDT-15"', '"trade_id":"BTC_USDT-151"', "26"),
        "S2_every_trade_has_its_place",
        "BTC_USDT-151",
    ),
    "a deposit has another amount": Message(
        "settlement.flows/0-0-49",
        turned('"amount":', '"amount":1', "2"),
        "S4_every_posting_of_a_customer_books_what_was_told",
        "f4",
    ),
    "a deposit is another one": Message(
        "settlement.flows/0-0-49",
        turned('"id":"f4"', '"id":"f444"', "2"),
        "S4_every_word_of_a_customer_is_booked_or_refused",
        "f444",
        ("S4_every_posting_of_a_customer_books_what_was_told",),
    ),
    "an order asks for another quantity": Message(
        "orders.locks/0-0-117",
        turned('"quantity":', '"quantity":1', "116"),
        "S4_every_posting_of_a_customer_books_what_was_told",
        "late sell",
    ),
    "whoever asked for a correction agreed to it": Message(
        "gov.approvals/1-0-0",
        turned("boris", "anna"),
        "S4_every_posting_of_a_customer_books_what_was_told",
        "fix:f1",
    ),
    "a message is no JSON": Message(
        "venue.orders/0-0-131", turned("{", "", "5"), "I1_every_unreadable_message_is_in_quarantine", "5"
    ),
}


@pytest.fixture(scope="module")
def books(server: str) -> Iterator[str]:
    """The DSN of a database that others are copied from."""
    with open_books(server) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def kept(books: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of the books."""
    return take_books(books, tmp_path_factory.mktemp("kept") / "taken")


def breaches(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of every check that did not pass."""
    return {
        check["name"]: check["rows"] for check in audit_folder(folder)["checks"] if check["verdict"] not in (PASS, NOTHING)
    }


def named(rows: list[dict[str, Any]], name: str) -> bool:
    """Whether one of the rows has this value, or one that has it in it."""
    return any(name in str(value) for row in rows for value in row.values())


def test_what_the_flows_left_passes(kept: Path) -> None:
    """Every check passes, over something: a check of nothing would be none."""
    report = audit_folder(kept)
    assert "pass" == report["verdict"]
    assert {PASS} == {check["verdict"] for check in report["checks"]}
    assert 0 < min(check["checked"] for check in report["checks"])
    assert [check.name for check in checks()] == [check["name"] for check in report["checks"]]


@pytest.mark.parametrize("case", IN_THE_DATABASE.values(), ids=IN_THE_DATABASE)
def test_what_is_planted_in_the_database_is_found(case: Case, books: str, server: str, tmp_path: Path) -> None:
    """The check that promises otherwise names the row; others speak if what they promise is broken, too, and only then."""
    with open_database(server, str(conninfo_to_dict(books)["dbname"])) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection, connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica; SET LOCAL TIME ZONE 'UTC'")
            planted = [str(row[0]) for row in connection.execute(case.plant.encode())]
        found = breaches(take_books(dsn, tmp_path / "taken"))
    assert planted
    assert {case.found_by, *case.also} == set(found)
    assert named(found[case.found_by], planted[0])


@pytest.mark.parametrize("case", IN_THE_FOLDER.values(), ids=IN_THE_FOLDER)
def test_what_is_planted_in_a_folder_is_found(case: Message, kept: Path, tmp_path: Path) -> None:
    """Also if the manifest was made to fit: the check that promises otherwise names the row, and the others stay silent."""
    folder = tmp_path / "planted"
    for path in kept.rglob("*"):
        if path.is_file():
            (folder / path.relative_to(kept)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(kept)).write_bytes(path.read_bytes())
    path = folder / "topics" / f"{case.file}.parquet"
    duckdb.execute(f"COPY (WITH it AS (FROM read_parquet('{path}')) SELECT {case.rows}) TO '{path}.new' (FORMAT parquet)")
    path.with_suffix(".parquet.new").replace(path)
    fit_manifest(folder)
    found = breaches(folder)
    assert {case.found_by, *case.also} == set(found)
    assert named(found[case.found_by], case.names)


def fit_manifest(folder: Path) -> None:
    """Make the manifest say of every file what is so."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for one in manifest["files"]:
        path = folder / one["path"]
        with path.open("rb") as file:
            one["sha256"] = file_digest(file, "sha256").hexdigest()
        one["bytes"] = path.stat().st_size
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_there_are_as_many_cases_as_promised() -> None:
    """Thirty kinds of damage and more, and every check is what finds one of them, or has to speak beside it."""
    cases = [*IN_THE_DATABASE.values(), *IN_THE_FOLDER.values()]
    assert len(cases) >= 30
    assert OFFICE
    assert {check.name for check in checks()} == {name for case in cases for name in (case.found_by, *case.also)}
