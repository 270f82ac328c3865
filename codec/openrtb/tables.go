package openrtb

import "unsafe"

// The tables of the request's objects: what is not here is skipped.

var requestTable = func() *table {
	var v BidRequest
	return newTable("",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("imp", impsField, 0),
		objectRow("site", inventoryField, uint8(SiteInventory), 0, siteTable),
		objectRow("app", inventoryField, uint8(AppInventory), 0, appTable),
		objectRow("dooh", inventoryField, uint8(DOOHInventory), 0, doohTable),
		row("device", deviceField, 0),
		row("user", userField, 0),
		row("regs", regsField, 0),
		row("source", sourceField, 0),
		row("at", strictInt, unsafe.Offsetof(v.At)),
		row("tmax", tmaxField, unsafe.Offsetof(v.TMax)),
		row("test", strictWish, unsafe.Offsetof(v.Test)),
		row("allimps", looseFlag, unsafe.Offsetof(v.AllImps)),
		row("cattax", looseInt, unsafe.Offsetof(v.CatTax)),
		row("cur", strsField, unsafe.Offsetof(v.Cur)),
		row("acat", strsField, unsafe.Offsetof(v.ACat)),
		row("bcat", strsField, unsafe.Offsetof(v.BCat)),
		row("badv", strsField, unsafe.Offsetof(v.BAdv)),
		row("bapp", strsField, unsafe.Offsetof(v.BApp)),
		row("wseat", strsField, unsafe.Offsetof(v.WSeat)),
		row("bseat", strsField, unsafe.Offsetof(v.BSeat)),
		row("wlang", strsField, unsafe.Offsetof(v.WLang)),
		row("wlangb", strsField, unsafe.Offsetof(v.WLangB)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

// geoRows are the fields of both geo objects.
func geoRows() []field {
	var v Geo
	return []field{
		row("lat", floatField, unsafe.Offsetof(v.Lat), unsafe.Offsetof(v.hasLat)),
		row("lon", floatField, unsafe.Offsetof(v.Lon), unsafe.Offsetof(v.hasLon)),
		row("type", intField, unsafe.Offsetof(v.Type)),
		row("accuracy", intField, unsafe.Offsetof(v.Accuracy)),
		row("lastfix", intField, unsafe.Offsetof(v.LastFix)),
		row("ipservice", intField, unsafe.Offsetof(v.IPService)),
		row("country", strField, unsafe.Offsetof(v.Country)),
		row("region", strField, unsafe.Offsetof(v.Region)),
		row("regionfips104", strField, unsafe.Offsetof(v.RegionFIPS104)),
		row("metro", strField, unsafe.Offsetof(v.Metro)),
		row("city", strField, unsafe.Offsetof(v.City)),
		row("zip", strField, unsafe.Offsetof(v.Zip)),
		row("utcoffset", intField, unsafe.Offsetof(v.UTCOffset)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	}
}

// dataRows are the fields of both data objects.
func dataRows() []field {
	var v Data
	return []field{
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("name", strField, unsafe.Offsetof(v.Name)),
		row("cids", strsField, unsafe.Offsetof(v.CIDs)),
		row("segment", segmentsField, unsafe.Offsetof(v.Segments)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	}
}

var (
	deviceGeoTable   = newTable("device.geo", geoRows()...)
	userGeoTable     = newTable("user.geo", geoRows()...)
	userDataTable    = newTable("user.data[]", dataRows()...)
	contentDataTable = newTable("content.data[]", dataRows()...)
)

var segmentTable = func() *table {
	var v Segment
	return newTable("segment[]",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("name", strField, unsafe.Offsetof(v.Name)),
		row("value", strField, unsafe.Offsetof(v.Value)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var deviceTable = func() *table {
	var v Device
	return newTable("device",
		row("ua", strField, unsafe.Offsetof(v.UA)),
		row("sua", objectRaw, unsafe.Offsetof(v.SUA)),
		row("ip", strField, unsafe.Offsetof(v.IP)),
		row("ipv6", strField, unsafe.Offsetof(v.IPv6)),
		row("ifa", strField, unsafe.Offsetof(v.IFA)),
		row("os", strField, unsafe.Offsetof(v.OS)),
		row("osv", strField, unsafe.Offsetof(v.OSV)),
		row("make", strField, unsafe.Offsetof(v.Make)),
		row("model", strField, unsafe.Offsetof(v.Model)),
		row("hwv", strField, unsafe.Offsetof(v.HWV)),
		row("language", strField, unsafe.Offsetof(v.Language)),
		row("langb", strField, unsafe.Offsetof(v.LangB)),
		row("carrier", strField, unsafe.Offsetof(v.Carrier)),
		row("mccmnc", strField, unsafe.Offsetof(v.MCCMNC)),
		row("flashver", strField, unsafe.Offsetof(v.FlashVer)),
		row("dnt", wishField, unsafe.Offsetof(v.DNT)),
		row("lmt", wishField, unsafe.Offsetof(v.LMT)),
		row("js", triField, unsafe.Offsetof(v.JS)),
		row("geofetch", triField, unsafe.Offsetof(v.GeoFetch)),
		row("devicetype", intField, unsafe.Offsetof(v.DeviceType)),
		row("connectiontype", intField, unsafe.Offsetof(v.ConnectionType)),
		row("w", sizeField, unsafe.Offsetof(v.W)),
		row("h", sizeField, unsafe.Offsetof(v.H)),
		row("ppi", sizeField, unsafe.Offsetof(v.PPI)),
		row("pxratio", floatField, unsafe.Offsetof(v.PxRatio)),
		row("didsha1", strField, unsafe.Offsetof(v.DIDSHA1)),
		row("didmd5", strField, unsafe.Offsetof(v.DIDMD5)),
		row("dpidsha1", strField, unsafe.Offsetof(v.DPIDSHA1)),
		row("dpidmd5", strField, unsafe.Offsetof(v.DPIDMD5)),
		row("macsha1", strField, unsafe.Offsetof(v.MACSHA1)),
		row("macmd5", strField, unsafe.Offsetof(v.MACMD5)),
		objectRow("geo", geoField, 0, unsafe.Offsetof(v.Geo), deviceGeoTable),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var userTable = func() *table {
	var v User
	return newTable("user",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("buyeruid", strField, unsafe.Offsetof(v.BuyerUID)),
		row("yob", intField, unsafe.Offsetof(v.YOB)),
		row("gender", strField, unsafe.Offsetof(v.Gender)),
		row("keywords", strField, unsafe.Offsetof(v.Keywords)),
		row("kwarray", strsField, unsafe.Offsetof(v.KwArray)),
		row("customdata", strField, unsafe.Offsetof(v.CustomData)),
		row("consent", strField, unsafe.Offsetof(v.Consent)),
		objectRow("geo", geoField, 0, unsafe.Offsetof(v.Geo), userGeoTable),
		objectRow("data", dataField, 0, unsafe.Offsetof(v.Data), userDataTable),
		row("eids", arrayRaw, unsafe.Offsetof(v.EIDs)),
		row("ext", userExtField, 0),
	)
}()

var userExtTable = func() *table {
	var v User
	return newTable("user.ext",
		row("consent", extStr, unsafe.Offsetof(v.old25)+unsafe.Offsetof(v.old25.consent)),
		row("eids", rawField, unsafe.Offsetof(v.old25)+unsafe.Offsetof(v.old25.eids)),
	)
}()

var regsTable = func() *table {
	var v Regs
	return newTable("regs",
		row("coppa", wishField, unsafe.Offsetof(v.COPPA)),
		row("gdpr", wishField, unsafe.Offsetof(v.GDPR), unsafe.Offsetof(v.HasGDPR)),
		row("us_privacy", strField, unsafe.Offsetof(v.USPrivacy)),
		row("gpp", strField, unsafe.Offsetof(v.GPP)),
		row("gpp_sid", intsField, unsafe.Offsetof(v.GPPSID)),
		row("ext", regsExtField, 0),
	)
}()

var regsExtTable = func() *table {
	var v Regs
	at := unsafe.Offsetof(v.old25)
	return newTable("regs.ext",
		row("gdpr", extFlag, at+unsafe.Offsetof(v.old25.gdpr), at+unsafe.Offsetof(v.old25.hasGDPR)),
		row("us_privacy", extStr, at+unsafe.Offsetof(v.old25.usPrivacy)),
		row("gpp", extStr, at+unsafe.Offsetof(v.old25.gpp)),
		row("gpp_sid", extInts, at+unsafe.Offsetof(v.old25.gppSID)),
	)
}()

var sourceTable = func() *table {
	var v Source
	return newTable("source",
		row("fd", intField, unsafe.Offsetof(v.FD)),
		row("tid", strField, unsafe.Offsetof(v.TID)),
		row("pchain", strField, unsafe.Offsetof(v.PChain)),
		row("schain", objectRaw, unsafe.Offsetof(v.SChain)),
		row("ext", sourceExtField, 0),
	)
}()

var sourceExtTable = func() *table {
	var v Source
	return newTable("source.ext",
		row("schain", rawField, unsafe.Offsetof(v.old25)+unsafe.Offsetof(v.old25.schain)),
	)
}()
