//! Every interface of WeCom that we call: its path, its method, and whether it may be called again when nobody knows
//! whether the first call arrived.
//!
//! Not for: limits (`quota`) or what a refusal means (`errcode`).

use http::Method;

use crate::telemetry::metrics::WecomFamily;

/// One interface of WeCom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// What follows `/cgi-bin/`.
    pub(super) path: &'static str,
    /// It is called by `GET` with a query; else by `POST` with JSON.
    pub(super) is_get: bool,
    /// It only reads, or doing it twice is the same as once: a call that was lost may be made again.
    pub(super) is_repeatable: bool,
    /// Which part of the platform it belongs to, for metrics.
    pub(super) family: WecomFamily,
}

macro_rules! apis {
    ($($api:ident: $method:ident $path:literal $repeat:ident $family:ident;)*) => {
        /// Every interface that we call, in the order of `wecom.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum Api {
            $(#[doc = concat!("`", $path, "`")] $api,)*
        }

        impl Api {
            /// All of them.
            pub(super) const ALL: &'static [Api] = &[$(Api::$api,)*];

            /// Returns what is fixed about it.
            pub(super) const fn traits(self) -> Traits {
                match self {
                    $(Api::$api => Traits {
                        path: $path,
                        is_get: apis!(@get $method),
                        is_repeatable: apis!(@repeat $repeat),
                        family: WecomFamily::$family,
                    },)*
                }
            }
        }
    };
    (@get GET) => { true };
    (@get POST) => { false };
    (@repeat again) => { true };
    (@repeat once) => { false };
}

apis! {
    GetToken: GET "gettoken" again Token;
    CallbackIps: GET "getcallbackip" again Account;
    AgentGet: GET "agent/get" again Account;
    UserList: GET "user/simplelist" again Account;
    FollowUsers: GET "externalcontact/get_follow_user_list" again Account;
    GroupChatList: POST "externalcontact/groupchat/list" again Groups;
    GroupChatGet: POST "externalcontact/groupchat/get" again Groups;
    OpengidToChatid: POST "externalcontact/opengid_to_chatid" again Groups;
    Statistic: POST "externalcontact/groupchat/statistic" again Groups;
    StatisticByDay: POST "externalcontact/groupchat/statistic_group_by_day" again Groups;
    // A second transfer of a group that was given away is refused by the platform, but it would use up the day's number.
    Transfer: POST "externalcontact/groupchat/transfer" once Groups;
    OnjobTransfer: POST "externalcontact/groupchat/onjob_transfer" once Groups;
    AddJoinWay: POST "externalcontact/groupchat/add_join_way" once Groups;
    GetJoinWay: POST "externalcontact/groupchat/get_join_way" again Groups;
    UpdateJoinWay: POST "externalcontact/groupchat/update_join_way" again Groups;
    DelJoinWay: POST "externalcontact/groupchat/del_join_way" again Groups;
    SendWelcome: POST "externalcontact/send_welcome_msg" again Welcome;
    AddWelcomeTemplate: POST "externalcontact/group_welcome_template/add" once Welcome;
    EditWelcomeTemplate: POST "externalcontact/group_welcome_template/edit" again Welcome;
    GetWelcomeTemplate: POST "externalcontact/group_welcome_template/get" again Welcome;
    DelWelcomeTemplate: POST "externalcontact/group_welcome_template/del" again Welcome;
    AddMassSend: POST "externalcontact/add_msg_template" once MassSend;
    ListMassSends: POST "externalcontact/get_groupmsg_list_v2" again MassSend;
    MassSendTasks: POST "externalcontact/get_groupmsg_task" again MassSend;
    MassSendResults: POST "externalcontact/get_groupmsg_send_result" again MassSend;
    // Three a day: a repeat may be one too many.
    RemindMassSend: POST "externalcontact/remind_groupmsg_send" once MassSend;
    CancelMassSend: POST "externalcontact/cancel_groupmsg_send" again MassSend;
    AppchatCreate: POST "appchat/create" once Appchat;
    AppchatUpdate: POST "appchat/update" again Appchat;
    AppchatGet: GET "appchat/get" again Appchat;
    AppchatSend: POST "appchat/send" once Appchat;
    RobotSend: POST "webhook/send" once Robot;
    RobotUpload: POST "webhook/upload_media" again Robot;
    MessageSend: POST "message/send" once Message;
    MessageRecall: POST "message/recall" again Message;
    UpdateCard: POST "message/update_template_card" again Message;
    MediaUpload: POST "media/upload" again Account;
    MediaGet: GET "media/get" again Account;
    AddInterceptRule: POST "externalcontact/add_intercept_rule" once Account;
    ListInterceptRules: GET "externalcontact/get_intercept_rule_list" again Account;
    GetInterceptRule: POST "externalcontact/get_intercept_rule" again Account;
    // It adds to and removes from a range: the same twice is the same.
    UpdateInterceptRule: POST "externalcontact/update_intercept_rule" again Account;
    DelInterceptRule: POST "externalcontact/del_intercept_rule" again Account;
}

impl Api {
    /// What follows `/cgi-bin/`: also its name in errors and settings.
    pub(super) const fn path(self) -> &'static str {
        self.traits().path
    }

    /// The method it is called by.
    pub(super) fn method(self) -> Method {
        if self.traits().is_get { Method::GET } else { Method::POST }
    }

    /// Whether the platform's limits per interface count it: messages of apps and robots have limits of their own
    /// (page 90454).
    pub(super) const fn has_basic_limits(self) -> bool {
        !matches!(self, Api::MessageSend | Api::RobotSend | Api::RobotUpload)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_path_is_there_once_and_what_creates_is_not_called_twice() {
        let paths: HashSet<_> = Api::ALL.iter().map(|api| api.path()).collect();
        assert_eq!(paths.len(), Api::ALL.len());
        let once: Vec<_> = Api::ALL.iter().filter(|api| !api.traits().is_repeatable).collect();
        for api in once {
            assert_eq!(api.method(), Method::POST, "{}: a read may always be repeated", api.path());
        }
        assert!(!Api::AddMassSend.traits().is_repeatable, "a mass send in doubt is looked up, not repeated");
    }
}
