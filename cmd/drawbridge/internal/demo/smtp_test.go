package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/bridge/mail"
)

// caught starts a mail catcher, and holds it to a clean end.
func caught(t *testing.T) (address string, box *mailbox) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box = newMailbox(time.Now)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- (&smtpServer{listener: l, take: box.take}).run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the mail catcher ended with %v", err)
		}
	})
	return l.Addr().String(), box
}

func TestTheCatcherTakesDrawbridgesMails(t *testing.T) {
	address, box := caught(t)
	sender, err := mail.New(mail.Options{
		Address: address, From: "Drawbridge demo <no-reply@drawbridge.example>", StartTLS: mail.None,
		Dial: (&net.Dialer{}).DialContext, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	link := "http://127.0.0.1:1/email-verification?token=" + strings.Repeat("a.b-c_", 20)
	sent := bridge.Mail{Kind: bridge.MailVerify, Tenant: "default", Person: "p", To: "zoë@corp.example", Link: link, Expires: time.Now().Add(time.Hour)}
	if err := sender.Send(t.Context(), "job-1", sent); err != nil {
		t.Fatal(err)
	}
	l, err := box.letters.wait(t.Context(), func(letter) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if l.Link("http://127.0.0.1:1/") != link {
		t.Errorf("the link is %q in:\n%s", l.Link("http://127.0.0.1:1/"), l.Text)
	}
	if l.To != "zoë@corp.example" || !strings.Contains(l.From, "no-reply@drawbridge.example") || !strings.Contains(l.Subject, "e-mail") {
		t.Errorf("from %q to %q about %q", l.From, l.To, l.Subject)
	}
}

func TestTheCatcherTakesAPlainMail(t *testing.T) {
	address, box := caught(t)
	body := "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nFrom: a@b.example\r\n\r\n.a line with a dot\r\nend\r\n"
	if err := smtp.SendMail(address, nil, "a@b.example", []string{"x@y.example", "z@y.example"}, []byte(body)); err != nil {
		t.Fatal(err)
	}
	got := box.letters.newest()
	if len(got) != 1 || got[0].Subject != "Grüße" || got[0].To != "x@y.example, z@y.example" || got[0].Text != ".a line with a dot\nend\n" {
		t.Errorf("%+v", got)
	}
}

func TestTheCatcherHoldsTheConversationToItsOrder(t *testing.T) {
	address, box := caught(t)
	for _, c := range []struct {
		say  []string
		want string
	}{
		{[]string{"DATA"}, "503"},
		{[]string{"RCPT TO:<a@b.example>"}, "503"},
		{[]string{"MAIL FROM:<a@b.example>", "DATA"}, "503"},
		{[]string{"MAIL FROM:a@b.example"}, "503"},
		{[]string{"MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>"}, "503"},
		{[]string{"MAIL FROM:<a@b.example>", "RCPT TO:<>"}, "503"},
		{[]string{"MAIL FROM:<a@b.example>", "RSET", "RCPT TO:<a@b.example>"}, "503"},
		{[]string{"mail from:<> SIZE=10", "rcpt to:<a@b.example>", "NOOP"}, "250"},
		{[]string{"STARTTLS"}, "502"},
		{[]string{"EHLO x", "HELO x", "QUIT"}, "221"},
	} {
		if got := lastAnswer(t, address, c.say); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: answered %q, not %s", c.say, got, c.want)
		}
	}
	many := []string{"MAIL FROM:<a@b.example>"}
	for i := range maxRecipients + 1 {
		many = append(many, fmt.Sprintf("RCPT TO:<r%d@b.example>", i))
	}
	if got := lastAnswer(t, address, many); !strings.HasPrefix(got, "452") {
		t.Errorf("too many recipients: %q", got)
	}
	if n := len(box.letters.newest()); n != 0 {
		t.Errorf("%d mails were taken", n)
	}
}

func lastAnswer(t *testing.T, address string, say []string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	read := func() string {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatalf("after %q: %v", say, err)
			}
			if len(line) > 3 && line[3] != '-' {
				return line
			}
		}
	}
	answer := read()
	for _, line := range say {
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
			t.Fatal(err)
		}
		answer = read()
	}
	return answer
}

func TestTheCatcherHangsUpOnWhatIsTooLarge(t *testing.T) {
	address, box := caught(t)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var talking sync.WaitGroup
	talking.Go(func() {
		line := strings.Repeat("x", 998) + "\r\n"
		_, err := fmt.Fprint(conn, "MAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n")
		for i := 0; i < 400 && err == nil; i++ {
			_, err = io.WriteString(conn, line)
		}
	})
	heard, _ := io.ReadAll(conn) // ends when the catcher hangs up, tidily or not
	if strings.Contains(string(heard), "250 taken") {
		t.Errorf("the catcher said %q", heard)
	}
	_ = conn.Close()
	talking.Wait()
	if n := len(box.letters.newest()); n != 0 {
		t.Errorf("%d mails were taken", n)
	}
}

func TestLettersAreReadWhateverTheyAre(t *testing.T) {
	box := newMailbox(time.Now)
	nested := "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n" +
		"--i\r\nContent-Type: text/html\r\n\r\n<b>no</b>\r\n--i\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--i--\r\n--o--\r\n"
	for _, message := range []string{nested, "no header at all", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nbroken", "\xff\xfe\r\n\r\n\xff"} {
		box.take("a@b.example", []string{"c@d.example"}, []byte(message))
	}
	got := box.letters.newest()
	if len(got) != 4 {
		t.Fatalf("%d of 4 letters", len(got))
	}
	if first := got[3]; first.Text != "hello" || first.From != "a@b.example" {
		t.Errorf("nested: %+v", first)
	}
}

func TestLinksAreTakenOutOfALetter(t *testing.T) {
	l := letter{Text: "see http://a.example/x?y=1\nor <https://b.example/>, httpx, http"}
	var links []string
	text := ""
	for _, p := range l.Pieces() {
		text += p.Text
		if p.Link {
			links = append(links, p.Text)
		}
	}
	if text != l.Text {
		t.Errorf("the pieces are %q", text)
	}
	if strings.Join(links, " ") != "http://a.example/x?y=1 https://b.example/" {
		t.Errorf("the links are %q", links)
	}
}

func FuzzPiecesAreTheText(f *testing.F) {
	f.Add("a http://b.example c")
	f.Fuzz(func(t *testing.T, text string) {
		joined := ""
		for _, p := range (letter{Text: text}).Pieces() {
			joined += p.Text
		}
		if joined != text {
			t.Errorf("%q became %q", text, joined)
		}
	})
}
