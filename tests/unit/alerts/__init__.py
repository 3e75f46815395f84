"""Personal values: requests, holds, receipts."""
