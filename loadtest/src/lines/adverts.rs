//! What people write who want to lead customers out of the group: invented, mild, and evasive in the usual ways.
//!
//! The ways: split or wrapped characters, blanks and dots between them, homophones, look-alikes, letters for syllables, full
//! width digits, emoji. Numbers and names are made up on the spot, so no line leads anywhere.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::slots::fill;

/// One advert.
pub fn advert(rng: &mut impl Rng) -> String {
    fill(ADVERTS.choose(rng).copied().unwrap_or_default(), rng)
}

const ADVERTS: &[&str] = &[
    "加微信 {letters}{code} 领内部价{product}",
    "加薇·信领优惠，{letters}{code}",
    "家人们➕V {letters}{code}，{product}半价",
    "＋威 信：{letters}{code} 每天有福利",
    "想要便宜{product}的加我卫星，号看头像",
    "丅单找我，加 v x {letters}{code}，比店里便宜",
    "兼职在家就能做，日结{n}0，详情加扣扣{code}{code}",
    "扣 扣 群 {code}{code} 进来领红包",
    "全职妈妈在家带娃也能赚，一天{n}0，滴滴我",
    "刷单返佣，一单一结，+V：{letters}{code}",
    "抖♪音点赞员，点一个{n}元，私我",
    "低价{product}找我拿，私聊，别在群里问",
    "工厂直发{product}，一件代发，加我徽信看图册",
    "代理招募，零押金，微❤信 {letters}{code}",
    "群主看不到的快来，威芯 {letters}{code} 送{product}",
    "办卡不看征信，当天下款，➕薇 {letters}{code}",
    "急用钱的找我，无抵押，额度{n}万，加V详聊",
    "信 用 卡 代 还，费率低，vx{letters}{code}",
    "稳赚不赔的项目，老师带，扫头像二维码进",
    "股市高手建群了，只收{n}个人，加 薇 进群",
    "今天的号很准，跟着老师走，进裙 {code}{code}",
    "免费送{product}，只付邮费，佳微 {letters}{code}",
    "帮忙砍一刀，转发三个群就能领{product}",
    "转发到{n}个群截图给我，领{product}一份",
    "点链接领券 www.{letters}{code}.example 今晚截止",
    "复制这段打开某宝 ￥{letters}{code}￥ 领{product}红包",
    "进新群抢{product}，旧群要解散了，扫图进",
    "二手苹果手机，全新没拆，{n}00出，＋v{letters}",
    "奢侈品一比一，专柜验货，薇❤ {letters}{code}",
    "减肥茶，一月瘦{n}斤，不反弹，加我 V 信",
    "祖传秘方，治腰腿疼，戈薇{letters}{code}",
    "开各种发piao，真的能查，W X {letters}{code}",
    "考试包过，不过退款，力口徵亻言 {letters}",
    "充值九折，话费油卡都有，厶聊",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_enough_adverts() {
        assert!(ADVERTS.len() >= 30, "{}", ADVERTS.len());
    }
}
