//! Characters that the conversion table leaves alone, each with the one that it is written for: pairs, one after the other.
//!
//! Not for: look-alikes and characters of the same sound, which say another word to a reader (`variants`).
//! Invariant: the second of a pair folds to itself.

/// Traditional characters that the table leaves alone, as they are also simplified ones (乾坤, 著名, 甚至): here they are
/// what they mean most often in traditional text, in terms and in texts alike. Words that hold them otherwise are made
/// known to the dictionary as they fold (`variants/tables/respelled.txt`).
///
/// Missing on purpose, though the table's phrases know them (計畫, 想像, 座標, 英哩, 黑沈沈): both characters are written
/// every day in simplified text for different words, and several are read differently.
pub(super) const ONE_OF_MANY: &str = "\
乾干剋克夥伙徵征扞捍於于昇升氾泛祕秘脩修著着蒐搜釐厘陞升麽么\
甚什藉借覆复瞭了俱具薰熏彷仿祇只";

/// Traditional forms that the table knows only in the other direction, or in phrases.
pub(super) const ONE_WAY: &str = "\
衹只揹背甦苏伕夫甯宁鎗枪繐穗雠仇拏拿濬浚燄焰隄堤觔斤菓果蘗檗瑯琅籐藤荳豆耡锄暱昵牠它澂澄";

/// Characters whose usual meaning in shops is not the table's: 項鍊, 手鍊 and 拉鍊 are sold, while a 鍛鍊 is still heard as 锻炼.
pub(super) const INSTEAD: &str = "鍊链";

/// Older and regional forms of the same character, which no table of traditional ones has.
pub(super) const OTHER_FORMS: &str = "\
躰体骵体軆体騐验韮韭顋腮鬪斗鬦斗鬭斗囘回廵巡呌叫倂并竝并凢凡凴凭刼劫劒剑劎剑勅敕勦剿冩写氷冰叅参吿告嗁啼\
埜野塲场壻婿夀寿妬妒婬淫嫰嫩寃冤寜宁尅克尠鲜巗岩帋纸帬裙裠裙幇帮廏厩廰厅徃往恠怪悮误惪德慙惭慽戚慿凭戼卯\
拕拖挿插搇揿搾榨摀捂擧举攷考敂叩斈学旾春晣晰暎映曁暨朶朵桒桑椶棕橤蕊櫈凳歗啸歩步毘毗氊毡汚污浄净涙泪渇渴\
渕渊潄漱濶阔灋法烖灾烱炯焔焰煑煮煖暖熈熙牋笺牎窗犂犁獘毙玅妙珎珍珮佩甎砖畂亩畊耕畱留痲麻瘖喑皷鼓皼鼓盋钵\
眎视矁瞅砲炮硏研秌秋稺稚窓窗窻窗筦管篛箬簒篡籖签粃秕糓谷糭粽紥扎絏绁緜绵緐繁緖绪縂总罇樽羗羌聨联聼听肎肯\
胷胸脗吻膓肠臈腊臯皋艢樯艣橹茘荔葢盖蔕蒂蔴麻蘂蕊蘓苏螙蠹蟁蚊蠏蟹蠭蜂裌夹襃褒覇霸覩睹觧解詧察譌讹謌歌讐仇\
豓艳貎貌賍赃赱走跥跺踫碰躭耽躶裸輭软輙辄轝舆辤辞辳农迯逃逥回遯遁邨村郞郎鄕乡醕醇銕铁鍫锹鑛矿閙闹隂阴隣邻\
隷隶雑杂霛灵靣面鞵鞋韈袜韤袜頟额飃飘餠饼餧喂駞驼駮驳驘骡髥髯鬀剃鷰燕麤粗氺水黒黑齩咬徧遍廸迪搥捶敍叙曡叠梱捆\
煇辉燿耀猨猿碁棋稭秸粧妆賸剩迺乃鹻碱龢和姪侄啗啖";

/// Japanese forms of the same character: 発票, 気銃.
pub(super) const JAPANESE_FORMS: &str = "\
徳德値值価价仮假仏佛伝传剤剂労劳効效囲围図图団团圧压塩盐変变売卖奨奖実实対对専专巻卷帰归広广応应悪恶恵惠戦战\
戯戏払拂抜拔拡扩掲揭摂摄撹搅晩晚暁晓栄荣桜樱検检様样権权歓欢歳岁毎每気气沢泽済济渋涩満满滝泷焼烧犠牺獣兽\
発发県县砕碎穂穗稲稻穏稳経经絵绘継继続续総总縁缘縄绳繊纤聴听脳脑蔵藏薬药蛍萤覚觉観观訳译読读譲让賛赞転转\
軽轻辺边遅迟郷乡酔醉釈释鉄铁鉱矿銭钱関关険险隠隐霊灵頼赖顕显駅驿騒骚験验髄髓鶏鸡黙默齢龄亀龟亜亚児儿両两\
乗乘単单厳严収收営营嬢娘巣巢弾弹従从懐怀択择捜搜楽乐歯齿渓溪瀬濑畳叠竜龙粋粹粛肃舗铺荘庄覧览弐二鋳铸闘斗\
陥陷髪发麺面斎斋剣剑勧劝勲勋壌壤廃废拠据挙举揺摇撃击斉齐曽曾猟猎疎疏縦纵繋系翆翠臓脏舎舍蝋蜡逓递錬炼";
