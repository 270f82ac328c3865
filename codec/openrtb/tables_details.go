package openrtb

import "unsafe"

var metricTable = func() *table {
	var v Metric
	return newTable("imp[].metric[]",
		row("type", strField, unsafe.Offsetof(v.Type)),
		row("value", floatField, unsafe.Offsetof(v.Value)),
		row("vendor", strField, unsafe.Offsetof(v.Vendor)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var qtyTable = func() *table {
	var v Qty
	return newTable("imp[].qty",
		row("multiplier", floatField, unsafe.Offsetof(v.Multiplier)),
		row("sourcetype", intField, unsafe.Offsetof(v.SourceType)),
		row("vendor", strField, unsafe.Offsetof(v.Vendor)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var refreshTable = func() *table {
	var v Refresh
	return newTable("imp[].refresh",
		row("refsettings", refSettingsField, unsafe.Offsetof(v.Settings)),
		row("count", intField, unsafe.Offsetof(v.Count), unsafe.Offsetof(v.HasCount)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var refSettingTable = func() *table {
	var v RefreshSetting
	return newTable("imp[].refresh.refsettings[]",
		row("reftype", intField, unsafe.Offsetof(v.RefType)),
		row("minint", intField, unsafe.Offsetof(v.MinInt)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var durFloorTable = func() *table {
	var v DurFloor
	return newTable("durfloors[]",
		row("mindur", intField, unsafe.Offsetof(v.MinDur)),
		row("maxdur", intField, unsafe.Offsetof(v.MaxDur)),
		row("bidfloor", cpmField, unsafe.Offsetof(v.BidFloor)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var userAgentTable = func() *table {
	var v UserAgent
	return newTable("device.sua",
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

var brandTable = func() *table {
	var v BrandVersion
	return newTable("device.sua.browsers[]",
		row("brand", strField, unsafe.Offsetof(v.Brand)),
		row("version", strsField, unsafe.Offsetof(v.Version)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var eidTable = func() *table {
	var v EID
	return newTable("user.eids[]",
		row("inserter", strField, unsafe.Offsetof(v.Inserter)),
		row("matcher", strField, unsafe.Offsetof(v.Matcher)),
		row("mm", intField, unsafe.Offsetof(v.MM)),
		row("source", strField, unsafe.Offsetof(v.Source)),
		row("uids", uidsField, unsafe.Offsetof(v.UIDs)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var uidTable = func() *table {
	var v UID
	return newTable("user.eids[].uids[]",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("atype", intField, unsafe.Offsetof(v.AType)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var chainTable = func() *table {
	var v SupplyChain
	return newTable("source.schain",
		row("complete", intField, unsafe.Offsetof(v.Complete)),
		row("ver", strField, unsafe.Offsetof(v.Ver)),
		row("nodes", nodesField, unsafe.Offsetof(v.Nodes)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var nodeTable = func() *table {
	var v SupplyChainNode
	return newTable("source.schain.nodes[]",
		row("asi", strField, unsafe.Offsetof(v.ASI)),
		row("sid", strField, unsafe.Offsetof(v.SID)),
		row("rid", strField, unsafe.Offsetof(v.RID)),
		row("name", strField, unsafe.Offsetof(v.Name)),
		row("domain", strField, unsafe.Offsetof(v.Domain)),
		row("hp", triField, unsafe.Offsetof(v.HP)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var producerTable = func() *table {
	var v Producer
	return newTable("content.producer",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("name", strField, unsafe.Offsetof(v.Name)),
		row("cattax", intField, unsafe.Offsetof(v.CatTax)),
		row("cat", strsField, unsafe.Offsetof(v.Cat)),
		row("domain", strField, unsafe.Offsetof(v.Domain)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var partyTable = func() *table {
	var v Party
	return newTable("content.network|channel",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("name", strField, unsafe.Offsetof(v.Name)),
		row("domain", strField, unsafe.Offsetof(v.Domain)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()
