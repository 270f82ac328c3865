package main

import "millrace/netio/admin"

func sampleCampaigns() []admin.CampaignStatus {
	return []admin.CampaignStatus{{
		ID: "0000000000000001", Name: "Summer sale", Currency: "USD",
		Budget: admin.Budget{Daily: 50_000_000_000, SpentToday: 2_500_000_000},
		Lines: []admin.LineStatus{
			{ID: "0000000000000002", Name: "Banner 300x250 everywhere", Kind: "programmatic_guaranteed", Pricing: "cpm", Active: true, Wins: 1_000_000, Spent: 1_000_000_000},
			{ID: "0000000000000003", Name: "Video", Kind: "direct", Pricing: "cpc"},
		},
	}, {
		ID: "0000000000000004", Name: "House", Currency: "USD",
		Lines: []admin.LineStatus{{ID: "0000000000000005", Name: "House ad", Kind: "house", Pricing: "cpm", Active: true, Budget: &admin.Budget{Total: 1_000_000_000}}},
	}}
}
