package openrtb

import "unsafe"

var metricObject = func() *object {
	var v Metric
	return newObject("imp[].metric[]",
		row("type", strField, unsafe.Offsetof(v.Type)),
		row("value", floatField, unsafe.Offsetof(v.Value)),
		row("vendor", strField, unsafe.Offsetof(v.Vendor)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var qtyObject = func() *object {
	var v Qty
	return newObject("imp[].qty",
		row("multiplier", floatField, unsafe.Offsetof(v.Multiplier)),
		row("sourcetype", intField, unsafe.Offsetof(v.SourceType)),
		row("vendor", strField, unsafe.Offsetof(v.Vendor)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var refreshObject = func() *object {
	var v Refresh
	return newObject("imp[].refresh",
		row("refsettings", refSettingsField, unsafe.Offsetof(v.Settings)),
		row("count", intField, unsafe.Offsetof(v.Count), unsafe.Offsetof(v.HasCount)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var refSettingObject = func() *object {
	var v RefreshSetting
	return newObject("imp[].refresh.refsettings[]",
		row("reftype", intField, unsafe.Offsetof(v.RefType)),
		row("minint", intField, unsafe.Offsetof(v.MinInt)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var durFloorObject = func() *object {
	var v DurFloor
	return newObject("durfloors[]",
		row("mindur", intField, unsafe.Offsetof(v.MinDur)),
		row("maxdur", intField, unsafe.Offsetof(v.MaxDur)),
		row("bidfloor", cpmField, unsafe.Offsetof(v.BidFloor)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var userAgentObject = func() *object {
	var v UserAgent
	return newObject("device.sua",
		row("browsers", browsersField, unsafe.Offsetof(v.Browsers)),
		row("platform", platformField, unsafe.Offsetof(v.Platform)),
		row("mobile", triField, unsafe.Offsetof(v.Mobile)),
		row("architecture", strField, unsafe.Offsetof(v.Architecture)),
		row("bitness", strField, unsafe.Offsetof(v.Bitness)),
		row("model", strField, unsafe.Offsetof(v.Model)),
		row("source", intField, unsafe.Offsetof(v.Source)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var brandObject = func() *object {
	var v BrandVersion
	return newObject("device.sua.browsers[]",
		row("brand", strField, unsafe.Offsetof(v.Brand)),
		row("version", strsField, unsafe.Offsetof(v.Version)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var eidObject = func() *object {
	var v EID
	return newObject("user.eids[]",
		row("inserter", strField, unsafe.Offsetof(v.Inserter)),
		row("matcher", strField, unsafe.Offsetof(v.Matcher)),
		row("mm", intField, unsafe.Offsetof(v.MM)),
		row("source", strField, unsafe.Offsetof(v.Source)),
		row("uids", uidsField, unsafe.Offsetof(v.UIDs)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var uidObject = func() *object {
	var v UID
	return newObject("user.eids[].uids[]",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("atype", intField, unsafe.Offsetof(v.AType)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var chainObject = func() *object {
	var v SupplyChain
	return newObject("source.schain",
		row("complete", intField, unsafe.Offsetof(v.Complete)),
		row("ver", strField, unsafe.Offsetof(v.Ver)),
		row("nodes", nodesField, unsafe.Offsetof(v.Nodes)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var nodeObject = func() *object {
	var v SupplyChainNode
	return newObject("source.schain.nodes[]",
		row("asi", strField, unsafe.Offsetof(v.ASI)),
		row("sid", strField, unsafe.Offsetof(v.SID)),
		row("rid", strField, unsafe.Offsetof(v.RID)),
		row("name", strField, unsafe.Offsetof(v.Name)),
		row("domain", strField, unsafe.Offsetof(v.Domain)),
		row("hp", triField, unsafe.Offsetof(v.HP)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

// partyObject also serves networks and channels, which have no categories.
var partyObject = func() *object {
	var v Party
	return newObject("content.producer|network|channel",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("name", strField, unsafe.Offsetof(v.Name)),
		row("cattax", intField, unsafe.Offsetof(v.CatTax)),
		row("cat", strsField, unsafe.Offsetof(v.Cat)),
		row("domain", strField, unsafe.Offsetof(v.Domain)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()
