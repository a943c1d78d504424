package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"immutray.org/helper"
)

// mistake says in our words what pflag found wrong with an option.
func mistake(err error) error {
	var unknown *pflag.NotExistError
	var lacking *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	var garbled *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("unknown option %s", optionName(unknown.GetSpecifiedName(), unknown.GetSpecifiedShortnames() != ""))
	case errors.As(err, &lacking):
		return fmt.Errorf("%s needs a value", optionName(lacking.GetSpecifiedName(), lacking.GetSpecifiedShortnames() != ""))
	case errors.As(err, &garbled):
		return fmt.Errorf("cannot read the option %s", helper.QuoteArgument(garbled.GetSpecifiedFlag()))
	case !errors.As(err, &invalid):
		return err
	}
	name, value := "--"+invalid.GetFlag().Name, helper.QuoteArgument(invalid.GetValue())
	switch invalid.GetFlag().Value.Type() {
	case "bool":
		return fmt.Errorf("%s takes no value, and was given %s", name, value)
	case "int":
		return fmt.Errorf("%s needs a whole number, not %s", name, value)
	case "time":
		return invalid.Unwrap()
	}
	return fmt.Errorf("%s cannot be %s", name, value)
}

func optionName(name string, short bool) string {
	if short {
		return "-" + name
	}
	return "--" + name
}
