// Package page is what users see of the provider: its few pages, their one
// style sheet, and their words in every language.
//
// # What is promised
//
//   - Every page is plain HTML that works without script, loads nothing of
//     anybody else but the logo of the client that it is about, and says so in
//     a Content-Security-Policy that names its style sheet by hash.
//   - A page is one language from top to bottom and says which. The one passage
//     that may be English on any page is a technical description that has no
//     translation; it is marked as English.
//   - Nothing that a message or a value says becomes markup.
//   - English has all keys, every language that comes with the program has the
//     same ones, and a message has the same placeholders in every language.
//   - Elements that are pressed, filled in or looked for have ids that stay.
//
// # Languages
//
// A language is one file of messages, <language>.yaml, a flat map of keys to
// texts with placeholders in braces. A folder of an operator's adds languages
// and overrides messages: a key that is unknown or a placeholder that is
// missing is refused. What an added language has no message for is said in
// English and can be listed: a newer version of the program, which knows more
// messages, must not refuse to start for want of a translation. Two families of
// keys are open, scope.<name> and claim.<name>, which describe on the consent
// page what a client asks for.
//
// The language of a page is the first of the request's ui_locales that there
// is, or else the best of Accept-Language, or else the default.
//
// # What is decided here
//
//   - form-action names a scheme and not a host where a form ends at another
//     site after a redirect of ours: browsers hold every further redirect to it
//     too, and who is sent back to an application may be sent on from there.
//     Nothing happens then, and the user looks at the page for ever.
//   - Cross-Origin-Opener-Policy is left to the pages that nobody opens in a
//     window of an application's: it would part that window from its opener, and
//     sign-ins in such windows from the page that waits for them.
package page
