package campaign

// countryCodes lists ISO 3166-1: alpha-2 and alpha-3, five letters a country.
const countryCodes = "" +
	"ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW AXALA AZAZE " +
	"BABIH BBBRB BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN BOBOL BQBES BRBRA BSBHS BTBTN BVBVT BWBWA BYBLR BZBLZ " +
	"CACAN CCCCK CDCOD CFCAF CGCOG CHCHE CICIV CKCOK CLCHL CMCMR CNCHN COCOL CRCRI CUCUB CVCPV CWCUW CXCXR CYCYP CZCZE " +
	"DEDEU DJDJI DKDNK DMDMA DODOM DZDZA ECECU EEEST EGEGY EHESH ERERI ESESP ETETH FIFIN FJFJI FKFLK FMFSM FOFRO FRFRA " +
	"GAGAB GBGBR GDGRD GEGEO GFGUF GGGGY GHGHA GIGIB GLGRL GMGMB GNGIN GPGLP GQGNQ GRGRC GSSGS GTGTM GUGUM GWGNB GYGUY " +
	"HKHKG HMHMD HNHND HRHRV HTHTI HUHUN IDIDN IEIRL ILISR IMIMN ININD IOIOT IQIRQ IRIRN ISISL ITITA JEJEY JMJAM JOJOR JPJPN " +
	"KEKEN KGKGZ KHKHM KIKIR KMCOM KNKNA KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO LBLBN LCLCA LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA LYLBY " +
	"MAMAR MCMCO MDMDA MEMNE MFMAF MGMDG MHMHL MKMKD MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ MRMRT MSMSR MTMLT MUMUS MVMDV MWMWI MXMEX MYMYS MZMOZ " +
	"NANAM NCNCL NENER NFNFK NGNGA NINIC NLNLD NONOR NPNPL NRNRU NUNIU NZNZL OMOMN PAPAN PEPER PFPYF PGPNG PHPHL PKPAK PLPOL PMSPM PNPCN PRPRI PSPSE PTPRT PWPLW PYPRY " +
	"QAQAT REREU ROROU RSSRB RURUS RWRWA SASAU SBSLB SCSYC SDSDN SESWE SGSGP SHSHN SISVN SJSJM SKSVK SLSLE SMSMR SNSEN SOSOM SRSUR SSSSD STSTP SVSLV SXSXM SYSYR SZSWZ " +
	"TCTCA TDTCD TFATF TGTGO THTHA TJTJK TKTKL TLTLS TMTKM TNTUN TOTON TRTUR TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY UZUZB " +
	"VAVAT VCVCT VEVEN VGVGB VIVIR VNVNM VUVUT WFWLF WSWSM XKXKX YEYEM YTMYT ZAZAF ZMZMB ZWZWE "

const countriesMax = len(countryCodes)/6 + 1

// country numbers the countries from 1, in the order of their alpha-2 codes;
// 0 is "not known". It is the value id of the country dimension.
type country uint8

// The codes as numbers in base 26 index two flat tables: 18 KB, no hashing.
var (
	countryByAlpha2 [26 * 26]country
	countryByAlpha3 [26 * 26 * 26]country
)

func init() {
	for i := 1; i < countriesMax; i++ {
		code := countryCodes[(i-1)*6:]
		a2, _ := base26([]byte(code[:2]))
		a3, _ := base26([]byte(code[2:5]))
		countryByAlpha2[a2] = country(i)
		countryByAlpha3[a3] = country(i)
	}
}

// alpha3 is the ISO 3166-1 alpha-3 code, as OpenRTB carries it.
func (c country) alpha3() string {
	if c == 0 {
		return ""
	}
	return countryCodes[(int(c)-1)*6+2 : (int(c)-1)*6+5]
}

// parseCountry reads alpha-3 or alpha-2 in any case; 0 is "not known".
func parseCountry[T string | []byte](code T) country {
	n, ok := base26(code)
	switch {
	case ok && len(code) == 3:
		return countryByAlpha3[n]
	case ok && len(code) == 2:
		return countryByAlpha2[n]
	}
	return 0
}

func base26[T string | []byte](letters T) (n int, ok bool) {
	if len(letters) > 3 {
		return 0, false
	}
	for i := range len(letters) {
		c := letters[i] &^ 0x20
		if c < 'A' || c > 'Z' {
			return 0, false
		}
		n = n*26 + int(c-'A')
	}
	return n, true
}
