package openrtb

import "unsafe"

var impTable = func() *table {
	var v Imp
	return newTable("imp[]",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("metric", arrayRaw, unsafe.Offsetof(v.Metric)),
		objectRow("banner", mediaField, uint8(BannerMedia), unsafe.Offsetof(v.Banner), bannerTable),
		objectRow("video", mediaField, uint8(VideoMedia), unsafe.Offsetof(v.Video), videoTable),
		objectRow("audio", mediaField, uint8(AudioMedia), unsafe.Offsetof(v.Audio), audioTable),
		objectRow("native", mediaField, uint8(NativeMedia), unsafe.Offsetof(v.Native), nativeTable),
		row("pmp", pmpField, 0),
		row("displaymanager", strField, unsafe.Offsetof(v.DisplayManager)),
		row("displaymanagerver", strField, unsafe.Offsetof(v.DisplayManagerVer)),
		row("instl", flagField, unsafe.Offsetof(v.Instl)),
		row("tagid", strField, unsafe.Offsetof(v.TagID)),
		row("bidfloor", cpmField, unsafe.Offsetof(v.BidFloor), unsafe.Offsetof(v.HasBidFloor)),
		row("bidfloorcur", currencyOf, unsafe.Offsetof(v.BidFloorCur)),
		row("clickbrowser", triField, unsafe.Offsetof(v.ClickBrowser)),
		row("secure", wishField, unsafe.Offsetof(v.Secure)),
		row("iframebuster", strsField, unsafe.Offsetof(v.IframeBuster)),
		row("rwdd", flagField, unsafe.Offsetof(v.Rwdd)),
		row("ssai", intField, unsafe.Offsetof(v.SSAI)),
		row("exp", sizeField, unsafe.Offsetof(v.Exp)),
		row("qty", objectRaw, unsafe.Offsetof(v.Qty)),
		row("dt", floatField, unsafe.Offsetof(v.DT)),
		row("refresh", objectRaw, unsafe.Offsetof(v.Refresh)),
		row("ext", impExtField, 0),
	)
}()

var impExtTable = func() *table {
	var v Imp
	return newTable("imp[].ext",
		row("rwdd", extFlag, unsafe.Offsetof(v.rewarded)),
		row("is_rewarded_inventory", extFlag, unsafe.Offsetof(v.rewarded)),
		row("prebid", prebidField, 0),
	)
}()

var prebidTable = func() *table {
	var v Imp
	return newTable("imp[].ext.prebid",
		row("is_rewarded_inventory", extFlag, unsafe.Offsetof(v.rewarded)),
	)
}()

var bannerTable = func() *table {
	var v Banner
	return newTable("imp[].banner",
		row("format", formatsField, unsafe.Offsetof(v.Formats)),
		row("w", sizeField, unsafe.Offsetof(v.W)),
		row("h", sizeField, unsafe.Offsetof(v.H)),
		row("wmax", sizeField, unsafe.Offsetof(v.WMax)),
		row("hmax", sizeField, unsafe.Offsetof(v.HMax)),
		row("wmin", sizeField, unsafe.Offsetof(v.WMin)),
		row("hmin", sizeField, unsafe.Offsetof(v.HMin)),
		row("btype", intsField, unsafe.Offsetof(v.BType)),
		row("battr", intsField, unsafe.Offsetof(v.BAttr)),
		row("pos", intField, unsafe.Offsetof(v.Pos)),
		row("mimes", strsField, unsafe.Offsetof(v.Mimes)),
		row("topframe", flagField, unsafe.Offsetof(v.TopFrame)),
		row("expdir", intsField, unsafe.Offsetof(v.ExpDir)),
		row("api", intsField, unsafe.Offsetof(v.API)),
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("vcm", triField, unsafe.Offsetof(v.Vcm)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var formatTable = func() *table {
	var v Format
	return newTable("imp[].banner.format[]",
		row("w", sizeField, unsafe.Offsetof(v.W)),
		row("h", sizeField, unsafe.Offsetof(v.H)),
		row("wratio", sizeField, unsafe.Offsetof(v.WRatio)),
		row("hratio", sizeField, unsafe.Offsetof(v.HRatio)),
		row("wmin", sizeField, unsafe.Offsetof(v.WMin)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var videoTable = func() *table {
	var v Video
	return newTable("imp[].video",
		row("mimes", strsField, unsafe.Offsetof(v.Mimes)),
		row("minduration", sizeField, unsafe.Offsetof(v.MinDuration)),
		row("maxduration", sizeField, unsafe.Offsetof(v.MaxDuration)),
		row("startdelay", intField, unsafe.Offsetof(v.StartDelay), unsafe.Offsetof(v.HasStartDelay)),
		row("maxseq", intField, unsafe.Offsetof(v.MaxSeq)),
		row("poddur", intField, unsafe.Offsetof(v.PodDur)),
		row("protocols", intsField, unsafe.Offsetof(v.Protocols)),
		row("protocol", intField, unsafe.Offsetof(v.protocol)),
		row("w", sizeField, unsafe.Offsetof(v.W)),
		row("h", sizeField, unsafe.Offsetof(v.H)),
		row("podid", strField, unsafe.Offsetof(v.PodID)),
		row("podseq", intField, unsafe.Offsetof(v.PodSeq)),
		row("rqddurs", intsField, unsafe.Offsetof(v.RqdDurs)),
		row("placement", intField, unsafe.Offsetof(v.Placement)),
		row("plcmt", intField, unsafe.Offsetof(v.Plcmt)),
		row("linearity", intField, unsafe.Offsetof(v.Linearity)),
		row("skip", intField, unsafe.Offsetof(v.Skip)),
		row("skipmin", intField, unsafe.Offsetof(v.SkipMin)),
		row("skipafter", intField, unsafe.Offsetof(v.SkipAfter)),
		row("sequence", intField, unsafe.Offsetof(v.Sequence)),
		row("slotinpod", intField, unsafe.Offsetof(v.SlotInPod)),
		row("mincpmpersec", cpmField, unsafe.Offsetof(v.MinCPMPerSec)),
		row("battr", intsField, unsafe.Offsetof(v.BAttr)),
		row("maxextended", intField, unsafe.Offsetof(v.MaxExtended)),
		row("minbitrate", sizeField, unsafe.Offsetof(v.MinBitrate)),
		row("maxbitrate", sizeField, unsafe.Offsetof(v.MaxBitrate)),
		row("boxingallowed", triField, unsafe.Offsetof(v.BoxingAllowed)),
		row("playbackmethod", intsField, unsafe.Offsetof(v.PlaybackMethod)),
		row("playbackend", intField, unsafe.Offsetof(v.PlaybackEnd)),
		row("delivery", intsField, unsafe.Offsetof(v.Delivery)),
		row("pos", intField, unsafe.Offsetof(v.Pos)),
		row("companionad", arrayRaw, unsafe.Offsetof(v.CompanionAd)),
		row("api", intsField, unsafe.Offsetof(v.API)),
		row("companiontype", intsField, unsafe.Offsetof(v.CompanionType)),
		row("poddedupe", intsField, unsafe.Offsetof(v.PodDedupe)),
		row("durfloors", arrayRaw, unsafe.Offsetof(v.DurFloors)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var audioTable = func() *table {
	var v Audio
	return newTable("imp[].audio",
		row("mimes", strsField, unsafe.Offsetof(v.Mimes)),
		row("minduration", sizeField, unsafe.Offsetof(v.MinDuration)),
		row("maxduration", sizeField, unsafe.Offsetof(v.MaxDuration)),
		row("poddur", intField, unsafe.Offsetof(v.PodDur)),
		row("protocols", intsField, unsafe.Offsetof(v.Protocols)),
		row("startdelay", intField, unsafe.Offsetof(v.StartDelay), unsafe.Offsetof(v.HasStartDelay)),
		row("rqddurs", intsField, unsafe.Offsetof(v.RqdDurs)),
		row("podid", strField, unsafe.Offsetof(v.PodID)),
		row("podseq", intField, unsafe.Offsetof(v.PodSeq)),
		row("sequence", intField, unsafe.Offsetof(v.Sequence)),
		row("slotinpod", intField, unsafe.Offsetof(v.SlotInPod)),
		row("mincpmpersec", cpmField, unsafe.Offsetof(v.MinCPMPerSec)),
		row("battr", intsField, unsafe.Offsetof(v.BAttr)),
		row("maxextended", intField, unsafe.Offsetof(v.MaxExtended)),
		row("minbitrate", sizeField, unsafe.Offsetof(v.MinBitrate)),
		row("maxbitrate", sizeField, unsafe.Offsetof(v.MaxBitrate)),
		row("delivery", intsField, unsafe.Offsetof(v.Delivery)),
		row("companionad", arrayRaw, unsafe.Offsetof(v.CompanionAd)),
		row("api", intsField, unsafe.Offsetof(v.API)),
		row("companiontype", intsField, unsafe.Offsetof(v.CompanionType)),
		row("maxseq", intField, unsafe.Offsetof(v.MaxSeq)),
		row("feed", intField, unsafe.Offsetof(v.Feed)),
		row("stitched", triField, unsafe.Offsetof(v.Stitched)),
		row("nvol", intField, unsafe.Offsetof(v.NVol), unsafe.Offsetof(v.HasNVol)),
		row("durfloors", arrayRaw, unsafe.Offsetof(v.DurFloors)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

var nativeTable = func() *table {
	var v Native
	return newTable("imp[].native",
		row("request", strField, unsafe.Offsetof(v.Request)),
		row("ver", strField, unsafe.Offsetof(v.Ver)),
		row("api", intsField, unsafe.Offsetof(v.API)),
		row("battr", intsField, unsafe.Offsetof(v.BAttr)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()

// pmpTable is read into the impression.
var pmpTable = func() *table {
	var v Imp
	return newTable("imp[].pmp",
		// Unreadable: the impression is invalid, and private until then.
		row("private_auction", wishField, unsafe.Offsetof(v.PrivateAuction)),
		row("deals", dealsField, unsafe.Offsetof(v.Deals)),
		row("ext", rawField, unsafe.Offsetof(v.PMPExt)),
	)
}()

var dealTable = func() *table {
	var v Deal
	return newTable("imp[].pmp.deals[]",
		row("id", strField, unsafe.Offsetof(v.ID)),
		row("bidfloor", cpmField, unsafe.Offsetof(v.BidFloor), unsafe.Offsetof(v.HasBidFloor)),
		row("bidfloorcur", currencyOf, unsafe.Offsetof(v.BidFloorCur)),
		row("at", intField, unsafe.Offsetof(v.At)),
		row("wseat", strsField, unsafe.Offsetof(v.WSeat)),
		row("wadomain", strsField, unsafe.Offsetof(v.WADomain)),
		row("guar", flagField, unsafe.Offsetof(v.Guaranteed)),
		row("mincpmpersec", cpmField, unsafe.Offsetof(v.MinCPMPerSec)),
		row("durfloors", arrayRaw, unsafe.Offsetof(v.DurFloors)),
		row("ext", rawField, unsafe.Offsetof(v.Ext)),
	)
}()
