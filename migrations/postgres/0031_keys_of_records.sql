-- Records say by whose key they came, in a form that programs from before cannot read: they refuse the database from here on.
select 1;
