"""The conformance suite: does a dataset, method or metric keep its contract?"""
