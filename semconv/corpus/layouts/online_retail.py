"""UCI Online Retail (Chen et al. 2012): invoice lines of a gift shop; the catalogue is what the lines say."""

from semconv.corpus.layouts.layout import Files, Layout

ONLINE_RETAIL = Layout(
    name="online_retail",
    interactions=(
        Files(
            ("transactions.csv.gz", "transactions.csv", "*.csv.gz", "*.csv"),
            {
                "user_id": "CustomerID",
                "item_id": "StockCode",
                "timestamp": "InvoiceDate",
                "title": "Description",
                "invoice": "InvoiceNo",
                "quantity": "Quantity",
            },
            "csv",
        ),
    ),
    items=(),
    invoices=True,
)
