package incoming

import (
	"regexp"
	"strings"

	"tenma/relay/wire/header"
	"tenma/relay/wire/mime"
)

var (
	daemon    = regexp.MustCompile(`(?i)mailer[-_ ]?daemon`)
	reporters = regexp.MustCompile(`(?i)(?:post_?master|mail[ .-]?delivery|mail (?:administrator|system|delivery|service)|mdaemon|system administrator)`)
	titles    = regexp.MustCompile(`(?i)(?:undeliver|delivery (?:status|failure|failed|report|has failed|notification|delayed)|failure notice|failure notification|returned mail|mail (?:failure|delivery|system error|status)|returned to sender|not be delivered|non-?deliver|message (?:status|delivery)|delivery has failed|loop alert|delayed mail|bounced?\b|delivery problem|could ?n.t be (?:sent|delivered)|failed mail|mail failed|mail error|mail(?:box)? (?:is )?full|returning to sender|user unknown|unknown user|unzustellbar|nicht zugestellt|zustell(?:ung|fehler)|no entregad|no se (?:ha )?p(?:udo|odido) entreg|não entreg|mancat[ao] (?:consegna|recapito)|non remis|échec|niet (?:bezorgd|afgeleverd)|onbestelbaar|kunne ikke leveres|olevererbar|niedostarcz|недостав|не доставлен|配信|届けられ|不達|送信できま|退信|投递失败|投遞失敗|반송|전송 ?실패)`)
	says      = regexp.MustCompile(`(?i)(?:(?:could|can|was|were|has|have|been|is) ?(?:not|n't|unable to)? (?:be )?(?:delivered|delayed|undeliverable)|unable to deliver|undeliverable|did not reach|could not be delivered|delivery (?:to|of|has) .{0,60}fail|returned to you|were unable to deliver|permanent (?:fatal )?errors?|could not be sent|not been delivered|you are not (?:a )?member|trouble delivering|could not deliver|cannot deliver|(?:was|been) (?:rejected|refused|blocked) (?:by|due|because)|no such user|user (?:is )?(?:unknown|not known)|not a valid user|nicht (?:zugestellt|ausgeliefert)|no (?:pudo|ha podido|se pudo) (?:ser )?entreg|não (?:pôde|pode) ser (?:enviad|entreg)|n.a pas pu (?:être|etre)|impossibile (?:consegnare|recapitare)|niet (?:worden )?(?:bezorgd|afgeleverd)|не (?:может|могло) быть доставлено|невозможно доставить|无法(?:投递|送达|发送|到达)|無法(?:投遞|送達|傳送)|送信できません|配信できません)`)
	delayed   = regexp.MustCompile(`(?i)(?:delay(?:ed)?\b|not yet (?:been )?deliver|will be retried|(?:do not|don't|no) need to re-?send|warning message only|still being retried|continue trying)`)
	failed    = regexp.MustCompile(`(?i)(?:permanent (?:fatal )?error|failed permanently|given up|giving up|will not (?:continue|be retried)|returned to sender)`)
	away      = regexp.MustCompile(`(?i)^\s*(?:auto(?:matic(?:ally)?|mated)?[ :_-]*(?:re(?:ply|sponse|plied)|response|answer|generated)|auto ?:|(?:i am |i'm )?out of (?:the )?office|ooo\b|away\b|vacation|on (?:vacation|leave|holiday)|abwesen|automatische antwort|automatisch antwoord|afwezig|automatisk(?:t)? svar|autosvar|r[ée]ponse automatique|absence|fuera de|respuesta autom|resposta autom|risposta autom|\[?automatyczna odpowied|nieobecno|автоответ|otomatik yan|自動(?:返信|応答)|不在|自动回复|自動回覆|부재중|자동 ?(?:응답|회신))`)
)

// looksReported tells a report without a delivery status from other mail.
func (p *pieces) looksReported() bool {
	if p.head.Text("X-Failed-Recipients") != "" {
		return true
	}
	signs := 0
	from := mime.DecodeHeader(p.head.Text("From"))
	if daemon.MatchString(from) && !p.automatic() { // nothing else writes in that name
		return true
	}
	if rp, ok := p.head.Get("Return-Path"); ok && strings.Trim(rp.Text(), "<> ") == "" {
		signs++ // RFC 5321 section 4.5.5
	}
	if daemon.MatchString(from) {
		signs++
	}
	for _, sign := range []struct {
		re   *regexp.Regexp
		text string
	}{
		{reporters, from},
		{titles, mime.DecodeHeader(p.head.Text("Subject"))},
		{says, p.text},
	} {
		if sign.re.MatchString(sign.text) {
			signs++
		}
	}
	if announces.MatchString(p.behind) {
		signs++
	}
	if findReply(p.text).code != 0 {
		signs++
	}
	return signs >= 2 || signs == 1 && says.MatchString(p.text) && !p.automatic()
}

// automatic reports the fields by which programs mark what they answer (RFC 3834
// section 5, and what was usual before it).
func (p *pieces) automatic() bool {
	word := strings.ToLower(p.head.Text("Auto-Submitted"))
	if end := strings.IndexAny(word, " ;("); end >= 0 {
		word = word[:end]
	}
	if word == "auto-replied" || word == "auto-notified" {
		return true
	}
	for _, name := range []string{"X-Autoreply", "X-Autorespond", "X-Autoreply-From", "X-Auto-Response-From", "X-Mail-Autoreply"} {
		if p.head.Count(name) > 0 {
			return true
		}
	}
	switch strings.ToLower(p.head.Text("Precedence")) {
	case "auto_reply", "auto-reply":
		return true
	}
	return away.MatchString(mime.DecodeHeader(p.head.Text("Subject")))
}

// autoReply reads an answer by a machine. Its recipient is who sent it: the one
// that the message answered was for.
func autoReply(p *pieces, m *Message) bool {
	if !p.automatic() {
		return false
	}
	m.Kind = AutoReply
	from, _ := header.FirstMailbox(mime.DecodeAddresses(p.head.Text("From")))
	m.Recipients = []Recipient{{Address: from.String(), Text: strings.TrimSpace(clip(p.text, maxWords))}}
	if id := p.head.Text("In-Reply-To"); id != "" { // RFC 3834 section 3.1.5
		m.Original.MessageID = clip(id, maxWords)
	}
	return true
}
