package config

// Pages is what users see.
type Pages struct {
	// The language of users who ask for none that there is.
	DefaultLocale string `yaml:"default_locale" default:"en" validate:"locale"`
	// A folder of messages, one file per language such as de.yaml or pt-BR.yaml, which adds languages and overrides single messages. A relative path begins where Drawbridge was started.
	Messages string `yaml:"messages" otherwise:"the languages that come with Drawbridge: en and de"`
}
