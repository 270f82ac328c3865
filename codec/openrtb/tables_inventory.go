package openrtb

import "unsafe"

// inventoryRows are the fields that a site, an app and a screen have alike.
func inventoryRows(more ...field) []field {
	var v Inventory
	return append(more,
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("name", strField, unsafe.Offsetof(v.Name)),
		row("domain", strField, unsafe.Offsetof(v.Domain)),
		row("keywords", strField, unsafe.Offsetof(v.Keywords)),
		row("publisher", publisherField, 0),
		row("content", contentField, 0),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}

// pagesRows are those that a site and an app have alike.
func pagesRows(more ...field) []field {
	var v Inventory
	return append(inventoryRows(more...),
		row("cattax", intField, unsafe.Offsetof(v.CatTax)),
		row("cat", strsField, unsafe.Offsetof(v.Cat)),
		row("sectioncat", strsField, unsafe.Offsetof(v.SectionCat)),
		row("pagecat", strsField, unsafe.Offsetof(v.PageCat)),
		row("privacypolicy", triField, unsafe.Offsetof(v.PrivacyPolicy)),
		row("kwarray", strsField, unsafe.Offsetof(v.KwArray)),
		row("inventorypartnerdomain", strField, unsafe.Offsetof(v.PartnerDomain)),
	)
}

var siteTable = func() *table {
	var v Inventory
	return newTable("site", pagesRows(
		row("page", strField, unsafe.Offsetof(v.Page)),
		row("ref", strField, unsafe.Offsetof(v.Ref)),
		row("search", strField, unsafe.Offsetof(v.Search)),
		row("mobile", triField, unsafe.Offsetof(v.Mobile)),
	)...)
}()

var appTable = func() *table {
	var v Inventory
	return newTable("app", pagesRows(
		row("bundle", strField, unsafe.Offsetof(v.Bundle)),
		row("storeurl", strField, unsafe.Offsetof(v.StoreURL)),
		row("ver", strField, unsafe.Offsetof(v.Ver)),
		row("paid", triField, unsafe.Offsetof(v.Paid)),
	)...)
}()

var doohTable = func() *table {
	var v Inventory
	return newTable("dooh", inventoryRows(
		row("venuetype", strsField, unsafe.Offsetof(v.VenueType)),
		row("venuetypetax", intField, unsafe.Offsetof(v.VenueTypeTax), unsafe.Offsetof(v.HasVenueTypeTax)),
	)...)
}()

// publisherTable is read into the inventory.
var publisherTable = func() *table {
	var v Inventory
	return newTable("publisher",
		row("id", strField, unsafe.Offsetof(v.PublisherID)),
		row("name", strField, unsafe.Offsetof(v.PublisherName)),
		row("domain", strField, unsafe.Offsetof(v.PublisherDomain)),
		row("cattax", intField, unsafe.Offsetof(v.PublisherCatTax)),
		row("cat", strsField, unsafe.Offsetof(v.PublisherCat)),
		row("ext", rawField, unsafe.Offsetof(v.PublisherExt)),
	)
}()

var contentTable = func() *table {
	var v Content
	return newTable("content",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("episode", intField, unsafe.Offsetof(v.Episode)),
		row("title", strField, unsafe.Offsetof(v.Title)),
		row("series", strField, unsafe.Offsetof(v.Series)),
		row("season", strField, unsafe.Offsetof(v.Season)),
		row("artist", strField, unsafe.Offsetof(v.Artist)),
		row("genre", strField, unsafe.Offsetof(v.Genre)),
		row("gtax", intField, unsafe.Offsetof(v.GTax)),
		row("genres", strsField, unsafe.Offsetof(v.Genres)),
		row("album", strField, unsafe.Offsetof(v.Album)),
		row("isrc", strField, unsafe.Offsetof(v.ISRC)),
		row("producer", objectRaw, unsafe.Offsetof(v.Producer)),
		row("url", strField, unsafe.Offsetof(v.URL)),
		row("cattax", intField, unsafe.Offsetof(v.CatTax)),
		row("cat", strsField, unsafe.Offsetof(v.Cat)),
		row("prodq", intField, unsafe.Offsetof(v.ProdQ)),
		row("videoquality", intField, unsafe.Offsetof(v.VideoQuality)),
		row("context", intField, unsafe.Offsetof(v.Context)),
		row("contentrating", strField, unsafe.Offsetof(v.ContentRating)),
		row("userrating", strField, unsafe.Offsetof(v.UserRating)),
		row("qagmediarating", intField, unsafe.Offsetof(v.QAGMediaRating)),
		row("keywords", strField, unsafe.Offsetof(v.Keywords)),
		row("kwarray", strsField, unsafe.Offsetof(v.KwArray)),
		row("livestream", triField, unsafe.Offsetof(v.LiveStream)),
		row("sourcerelationship", triField, unsafe.Offsetof(v.SourceRelationship)),
		row("len", intField, unsafe.Offsetof(v.Len)),
		row("language", strField, unsafe.Offsetof(v.Language)),
		row("langb", strField, unsafe.Offsetof(v.LangB)),
		row("embeddable", triField, unsafe.Offsetof(v.Embeddable)),
		objectRow("data", dataField, 0, unsafe.Offsetof(v.Data), contentDataTable),
		row("network", objectRaw, unsafe.Offsetof(v.Network)),
		row("channel", objectRaw, unsafe.Offsetof(v.Channel)),
		row("realtime", triField, unsafe.Offsetof(v.Realtime)),
		row("firstbroadcast", triField, unsafe.Offsetof(v.FirstBroadcast)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()
