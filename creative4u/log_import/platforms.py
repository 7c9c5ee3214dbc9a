"""Name the columns of ad platforms' exports, as the platforms' own help pages name them.

The pages, by their titles:

- Google Ads Help: "About columns in your statistics table" (Clicks, Impr., CTR);
- Meta Business Help Center: "Customize columns in Meta Ads Manager" (Impressions, Link clicks,
  Clicks (all), CTR (all), CTR (link click-through rate), both in per cent without a sign;
  Reporting starts and ends), "Breakdowns in Meta Ads Manager" (Day; Image, video and slideshow);
- TikTok Business Help Center: "Basic data" (Impressions, Clicks (destination), Clicks (all), CTR
  (destination)), "Create custom reports" (Ad name, By Day);
- Amazon Ads support center: "Advertised product report" and "Search term report" of Sponsored
  Products (Advertised SKU, Advertised ASIN, Customer Search Term, Click-Thru Rate (CTR)).

Which column says what image an ad shows depends on what a user has put into the report: the names
for `image` are those that such columns usually bear, then the ad's name and id.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """One platform's export: our names to its own, the surest first; the unit of its CTR column."""

    title: str
    columns: dict[str, tuple[str, ...]]
    ctr_unit: str | None = "percent"


PLATFORMS: dict[str, Platform] = {
    "google-ads": Platform("Google Ads", {
        "image": ("Image", "Image ad name", "Image name", "Asset", "Image URL", "Ad name", "Ad ID"),
        "product_id": ("Product ID", "Item ID", "Asset group", "Ad group", "Campaign"),
        "title": ("Product title", "Product name", "Long headline", "Headline", "Headline 1"),
        "query": ("Search term", "Search keyword", "Keyword"),
        "impressions": ("Impr.", "Impressions"),
        "clicks": ("Clicks",),
        "ctr": ("CTR",),
        "day": ("Day", "Date", "Week", "Month"),
    }),
    "meta-ads": Platform("Meta Ads", {
        "image": ("Image name", "Image, video and slideshow", "Image", "Image hash", "Ad name",
                  "Ad ID"),
        "product_id": ("Product ID", "Product set", "Ad set name", "Campaign name"),
        "title": ("Product name", "Title (ad settings)", "Headline", "Title"),
        "impressions": ("Impressions",),
        "clicks": ("Link clicks", "Clicks (all)"),
        "ctr": ("CTR (link click-through rate)", "CTR (all)"),
        "day": ("Day", "Reporting starts"),
        "day_end": ("Reporting ends",),
    }),
    "tiktok-ads": Platform("TikTok Ads", {
        "image": ("Image name", "Image", "Creative name", "Material name", "Ad name", "Ad ID"),
        "product_id": ("Product ID", "SPU ID", "SKU ID", "Ad group name", "Campaign name"),
        "title": ("Product name",),
        "query": ("Search term", "Keyword"),
        "impressions": ("Impressions", "Impression"),
        "clicks": ("Clicks (destination)", "Clicks", "Clicks (all)", "Click"),
        "ctr": ("CTR (destination)", "CTR", "CTR (all)"),
        "day": ("By Day", "Day", "Date"),
    }),
    "amazon-ads": Platform("Amazon Ads", {
        "image": ("Image", "Image name", "Creative Name", "Creative ID", "Ad Name", "Ad ID",
                  "Advertised SKU", "Advertised ASIN"),
        "product_id": ("Advertised ASIN", "ASIN", "Ad Group Name", "Campaign Name"),
        "title": ("Product Name", "Product title", "Advertised Product Title"),
        "query": ("Customer Search Term", "Search Term", "Targeting"),
        "impressions": ("Impressions",),
        "clicks": ("Clicks",),
        "ctr": ("Click-Thru Rate (CTR)", "Click-through rate (CTR)", "CTR"),
        "day": ("Date", "Start Date"),
        "day_end": ("End Date",),
    }),
}  # fmt: skip
